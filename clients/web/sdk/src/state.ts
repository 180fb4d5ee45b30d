/** The state of the connection, as values and in words. */
import type { Refusal } from "./refusal.js";

/** What the connection is doing. */
export type ConnectionState =
  /** Not connected: {@link Client.connect} was not called, or the player logged out. */
  | { readonly kind: "idle" }
  /** It needs a name: there is no player yet, or the name was refused. */
  | { readonly kind: "name_needed"; readonly refusal: Refusal | undefined }
  /**
   * It opens a connection or waits for the Welcome. `attempt` counts from 0; `lost`: why the last one ended, if known.
   */
  | { readonly kind: "connecting"; readonly node: number | undefined; readonly attempt: number; readonly lost: Refusal | undefined }
  /** In the world. */
  | { readonly kind: "connected"; readonly node: number }
  /** Closed for good by the server; only {@link Client.connect} tries again. */
  | { readonly kind: "ended"; readonly reason: Refusal };

/** The state as a short sentence for people. `resumed`: this visit has been in the world before. */
export function describeState(state: ConnectionState, resumed: boolean): string {
  switch (state.kind) {
    case "idle":
      return "Not connected";
    case "name_needed":
      return "Choose a name";
    case "connecting": {
      const where = state.node === undefined ? "" : ` node ${state.node}`;
      if (!resumed && state.attempt === 0) return `Connecting${where && ` to${where}`} …`;
      return `Connection lost, trying${where || " again"} …`;
    }
    case "connected":
      return `Connected to node ${state.node}`;
    case "ended":
      if (state.reason.code === "suspended") return "Your player rests";
      return state.reason.code === "superseded" ? "Taken over by another tab" : `Disconnected: ${state.reason.text}`;
  }
}
