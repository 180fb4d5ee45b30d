// Serves the page as it is in the working tree, bundled again at each load, in front of a running server, on a free
// port. It forwards WebSockets to the server. `npm run dev -- http://127.0.0.1:7600`
import { createServer } from "node:http";
import { connect } from "node:net";
import { bundle } from "./build.mjs";

if (!process.argv[2]) {
  console.error("which server? npm run dev -- http://127.0.0.1:7600");
  process.exit(2);
}
const world = new URL(process.argv[2]);
const KINDS = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8" };

const server = createServer(async (request, response) => {
  const name = request.url === "/" ? "index.html" : (request.url ?? "").slice(1);
  try {
    const text = (await bundle({ minify: false }))[name];
    response.writeHead(text === undefined ? 404 : 200, { "content-type": KINDS[name.split(".").at(-1)] ?? "text/plain" });
    response.end(text ?? "not here\n");
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});
server.on("upgrade", (request, socket, head) => {
  const upstream = connect(Number(world.port) || 80, world.hostname, () => {
    const lines = request.rawHeaders.flatMap((value, k) => (k % 2 === 0 ? [`${value}: ${request.rawHeaders[k + 1]}`] : []));
    upstream.write(`GET ${request.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
    upstream.write(head);
    socket.pipe(upstream).pipe(socket);
  });
  for (const [one, other] of [[socket, upstream], [upstream, socket]]) one.on("error", () => other.destroy()).on("close", () => other.destroy());
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
