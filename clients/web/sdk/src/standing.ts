/** What a page should show of the connection: nothing while all is well, then a picture that is visibly old, then what is wrong. */
import type { ConnectionState } from "./state.js";

/** Most losses are over before this time, ms. */
export const QUIET_MS = 2_500;
/** After this time without a connection somebody who was in the world is told more, ms. */
export const LONG_MS = 20_000;

/** What is wrong, for the game's own words. */
export type Trouble =
  /** No server has answered so far. */
  | "unanswered"
  /** There is no room for one more. */
  | "full"
  /** The servers are being looked after, and open again soon. */
  | "closed"
  /** A server refuses for now, for the reason given. */
  | "refused"
  /** The connection was lost long ago. */
  | "lost"
  /** The player plays on in another tab, or on another device. */
  | "superseded"
  /** The player rests: the game's rules failed for it too often. */
  | "suspended"
  /** This page is older than the server. */
  | "outdated"
  /** The server ended the connection for good. */
  | "ended";

/** See the top of the file. */
export interface Standing {
  /** The picture is old: show so, and do nothing in it. */
  readonly isOld: boolean;
  readonly trouble: Trouble | undefined;
  /** The server's own words, if it has said any. */
  readonly text: string;
  /** What helps: {@link Client.connect}, or to load the page again. */
  readonly help: "connect" | "reload";
}

const WELL: Standing = { isOld: false, trouble: undefined, text: "", help: "connect" };
const CLOSED = ["not_ready", "stopping", "moving", "storage", "storage_busy", "storage_full", "journal_gone", "busy_world"];

/** `wasIn`: this page has been in the world. `waitedMs`: since it last was connected, or since it was opened. */
export function standing(state: ConnectionState, wasIn: boolean, waitedMs: number): Standing {
  if (state.kind === "ended") {
    const { code, text } = state.reason;
    const trouble = code === "superseded" || code === "suspended" ? code : code === "bad_protocol" ? "outdated" : "ended";
    return { isOld: wasIn, trouble, text, help: trouble === "outdated" ? "reload" : "connect" };
  }
  if (state.kind !== "connecting" || waitedMs < QUIET_MS) return WELL;
  const text = state.lost?.text ?? "";
  if (wasIn) return { ...WELL, isOld: true, trouble: waitedMs < LONG_MS ? undefined : "lost", text };
  return { ...WELL, trouble: outside(state.lost?.code), text };
}

function outside(code: string | undefined): Trouble {
  if (code === undefined) return "unanswered";
  if (code === "full") return "full";
  return CLOSED.includes(code) ? "closed" : "refused";
}
