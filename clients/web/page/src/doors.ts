/** What the page shows of the connection: nothing while all is well, then a dimmed picture, then a card with one sentence and one button. */
import type { ConnectionState } from "@gundo/client";

/** Most losses are over before this time, ms: until then only the x-ray shows them. */
export const QUIET_MS = 2_500;
/** After this time without a connection somebody who was in the world sees a card, ms. */
export const LONG_MS = 20_000;

/** A card that says what is wrong, and what can be done about it. */
export interface Card {
  readonly title: string;
  readonly words: string;
  readonly button: string;
  readonly does: "try" | "reload";
}

/** What is shown. */
export interface Shown {
  /** The picture is old: it is dim, and nothing can be done in it. */
  readonly dim: boolean;
  readonly card: Card | undefined;
}

/** Closed for a moment, in the words of servers. */
const REPAIRED = ["not_ready", "stopping", "moving", "storage", "storage_busy", "journal_gone", "busy_world"];

/** The state in a few words. Which node it is about says the x-ray. */
export function words(state: ConnectionState, ashore: boolean): string {
  switch (state.kind) {
    case "idle":
      return "Not connected";
    case "name_needed":
      return "Choose a name";
    case "connecting":
      return ashore ? "Connection lost, trying again …" : "Connecting …";
    case "connected":
      return "Connected";
    case "ended":
      return ended(state.reason).title;
  }
}

/** See the top of the file. `ashore`: this page has been in the world. `waitedMs`: since it last was, or since the page was opened. */
export function shown(state: ConnectionState, ashore: boolean, waitedMs: number): Shown {
  if (state.kind === "ended") return { dim: ashore, card: ended(state.reason) };
  if (state.kind !== "connecting" || waitedMs < QUIET_MS) return { dim: false, card: undefined };
  if (ashore) {
    const card: Card = { title: "The connection is lost", words: "The page goes on trying. Everything you have is safe on the island.", button: "Try now", does: "try" };
    return { dim: true, card: waitedMs < LONG_MS ? undefined : card };
  }
  return { dim: false, card: outside(state.lost) };
}

function outside(lost: { readonly code: string; readonly text: string } | undefined): Card {
  const again = { button: "Try now", does: "try" } as const;
  if (lost?.code === "full") return { title: "The island is full", words: "You step ashore as soon as there is room; leave this page open.", ...again };
  if (lost && REPAIRED.includes(lost.code)) return { title: "One moment", words: "The island is being looked after, and opens again soon. The page goes on trying.", ...again };
  if (lost) return { title: "Not yet", words: `${lost.text} The page goes on trying.`, ...again };
  return { title: "Nobody answers", words: "The island does not answer, or your line is down. The page goes on trying.", ...again };
}

function ended(reason: { readonly code: string; readonly text: string }): Card {
  if (reason.code === "superseded") return { title: "Taken over by another tab", words: "You play on in the other tab.", button: "Play here", does: "try" };
  if (reason.code === "suspended") return { title: "Your player rests", words: reason.text, button: "Try again", does: "try" };
  if (reason.code === "bad_protocol") return { title: "There is a newer page", words: "This page is older than the island. Load it again to play on.", button: "Reload", does: "reload" };
  return { title: "You are not connected", words: reason.text, button: "Try again", does: "try" };
}
