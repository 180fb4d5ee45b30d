/** The words for how the connection is: a card with one sentence and one button, and the line at the top. */
import type { ConnectionState, Standing, Trouble } from "@gundo/client";

/** A card that says what is wrong, and what can be done about it. */
export interface Card {
  readonly title: string;
  readonly words: string;
  readonly button: string;
}

/** Title, sentence and button; `…` stands for the server's own words. */
const CARDS: Record<Trouble, readonly [string, string, string]> = {
  unanswered: ["Nobody answers", "The island does not answer, or your line is down. The page goes on trying.", "Try now"],
  full: ["The island is full", "You step ashore as soon as there is room; leave this page open.", "Try now"],
  closed: ["One moment", "The island is being looked after, and opens again soon. The page goes on trying.", "Try now"],
  refused: ["Not yet", "… The page goes on trying.", "Try now"],
  lost: ["The connection is lost", "The page goes on trying. Everything you have is safe on the island.", "Try now"],
  superseded: ["Taken over by another tab", "You play on in the other tab.", "Play here"],
  suspended: ["Your player rests", "…", "Try again"],
  outdated: ["There is a newer page", "This page is older than the island. Load it again to play on.", "Reload"],
  ended: ["You are not connected", "…", "Try again"],
};

/** The card to show; undefined: none. */
export function cardFor({ trouble, text }: Standing): Card | undefined {
  if (!trouble) return undefined;
  const [title, words, button] = CARDS[trouble];
  return { title, words: words.replace("…", text), button };
}

/** The line at the top. Which node it is about says the x-ray. `wasIn`: this page has been in the world. */
export function line(state: ConnectionState, standing: Standing, wasIn: boolean): string {
  switch (state.kind) {
    case "idle":
      return "Not connected";
    case "name_needed":
      return "Choose a name";
    case "connecting":
      if (!wasIn) return "Connecting …";
      return standing.isOld ? "Connection lost, trying again …" : "Connected";
    case "connected":
      return "Connected";
    case "ended":
      return standing.trouble ? CARDS[standing.trouble][0] : "Not connected";
  }
}
