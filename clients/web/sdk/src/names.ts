/** The rules of names, to be shown before a person chooses one. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { browserEnvironment, type Environment, type Socket } from "./environment.js";
import { ClientMessageSchema, ServerMessageSchema, type Names } from "./gen/client_pb.js";

/** How long an edge may take to answer, ms. */
const ANSWER_MS = 5_000;

/**
 * Asks the edge at `url` what names are, on a connection of its own: a hello without a name is refused, and the refusal says it.
 * Undefined: the game does not say, or there was no answer within 5 s. Then only trying tells.
 */
export function askNames(url: string, environment: Environment = browserEnvironment()): Promise<Names | undefined> {
  return new Promise((resolve) => {
    let socket: Socket | undefined;
    const done = (names: Names | undefined): void => {
      environment.cancel(timer);
      socket?.close();
      resolve(names);
    };
    const timer = environment.after(ANSWER_MS, () => done(undefined));
    try {
      socket = environment.open(url, {
        opened: () => socket?.send(toBinary(ClientMessageSchema, create(ClientMessageSchema, { hello: { protocol: 1, client: "names" } }))),
        message: (bytes) => done(read(bytes)),
        closed: () => done(undefined),
      });
    } catch {
      done(undefined);
    }
  });
}

function read(bytes: Uint8Array): Names | undefined {
  try {
    return fromBinary(ServerMessageSchema, bytes).names;
  } catch {
    return undefined;
  }
}
