/** The rules of names, and who may come in, to be shown before a person chooses a name. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { browserEnvironment, type Environment, type Socket } from "./environment.js";
import { ClientMessageSchema, ServerMessageSchema, type Names } from "./gen/client_pb.js";

/** How long an edge may take to answer, ms. */
const ANSWER_MS = 5_000;

/**
 * Asks the edge at `url` what names are, on a connection of its own: a hello without a name is refused, and the refusal says it.
 * Undefined: the game does not say, or there was no answer within 5 s. Then only trying tells.
 */
export async function askNames(url: string, environment: Environment = browserEnvironment()): Promise<Names | undefined> {
  return (await askEntry(url, environment)).names;
}

/** What a person must know before it comes in as a new player. */
export interface Entry {
  /** What names are; undefined: the game does not say, or there was no answer. */
  readonly names: Names | undefined;
  /** Who may come in: 0 everybody, 1 who has an invitation, 2 nobody. Without an answer 0. */
  readonly newcomers: number;
}

/** The same, with who may come in. */
export function askEntry(url: string, environment: Environment = browserEnvironment()): Promise<Entry> {
  return new Promise((resolve) => {
    let socket: Socket | undefined;
    const done = (entry: Entry): void => {
      environment.cancel(timer);
      socket?.close();
      resolve(entry);
    };
    const timer = environment.after(ANSWER_MS, () => done(UNKNOWN));
    try {
      socket = environment.open(url, {
        opened: () => socket?.send(toBinary(ClientMessageSchema, create(ClientMessageSchema, { hello: { protocol: 1, client: "names" } }))),
        message: (bytes) => done(read(bytes)),
        closed: () => done(UNKNOWN),
      });
    } catch {
      done(UNKNOWN);
    }
  });
}

const UNKNOWN: Entry = { names: undefined, newcomers: 0 };

function read(bytes: Uint8Array): Entry {
  try {
    const { names, newcomers } = fromBinary(ServerMessageSchema, bytes);
    return { names, newcomers };
  } catch {
    return UNKNOWN;
  }
}
