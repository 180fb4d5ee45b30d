/**
 * The service worker: it keeps the page, so that a reload works while the server that it came from does not answer. The page then finds
 * another one (`edges` in main.ts). While the server answers, nothing kept is shown.
 */

/** How long the server has for the page while there is a kept one, ms. */
const PATIENCE_MS = 3_000;
const NAME = "page";
/** Files of the page in its HTML: their names say which version they are. */
const FILES = /(?:src|href)="([^"]+\?v=[^"]+)"/g;

const home = new URL("./", location.href);

addEventListener("install", (event) => event.waitUntil(skipWaiting()));
addEventListener("activate", (event) => event.waitUntil(begin()));
addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== home.origin) return;
  if (request.mode === "navigate" && url.pathname === home.pathname) event.respondWith(page(event));
  else if (url.searchParams.has("v")) event.respondWith(file(request));
});

/** The page that is open was loaded without a worker. */
async function begin() {
  await clients.claim();
  // Without it there is no kept page until the next visit.
  await fetch(home).then(keep, () => undefined);
}

async function page(event) {
  const { request } = event;
  const kept = await (await caches.open(NAME)).match(home);
  try {
    const answer = await fetch(request, kept ? { signal: AbortSignal.timeout(PATIENCE_MS) } : {});
    // Something between here and the server may answer that it is away.
    if (!answer.ok) return kept ?? answer;
    // Nobody waits for that.
    event.waitUntil(keep(answer.clone()));
    return answer;
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
}

async function file(request) {
  return (await (await caches.open(NAME)).match(request)) ?? fetch(request);
}

/** Keeps the page with all its files, or leaves what is kept as it is. */
async function keep(answer) {
  if (!answer.ok) return;
  const cache = await caches.open(NAME);
  const files = [...(await answer.clone().text()).matchAll(FILES)].map(([, name]) => new URL(name, home).href);
  for (const name of files) if (!(await cache.match(name))) await cache.add(name);
  await cache.put(home, answer);
  for (const { url } of await cache.keys()) if (url !== home.href && !files.includes(url)) await cache.delete(url);
}
