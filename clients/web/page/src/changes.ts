/**
 * Changes of the nodes and of the own connection, as short lines for the x-ray view: which nodes there are, and where
 * the player continues after losing the own edge. The rest of the page shows nothing of a change that is over at once.
 */
import type { Client, ConnectionState, EdgeAddress } from "@gundo/client";

/** Lines kept. */
const LINES_MAX = 4;

/** See the top of the file. */
export class Changes {
  /** The newest last. */
  readonly lines: { readonly at: number; readonly text: string }[] = [];
  /** Nodes whose edges accept clients, in order; draining ones are not among them. */
  nodes: readonly number[] = [];
  private lost: { at: number; node: number } | undefined;
  private node: number | undefined;

  /** `now`: local time, ms. */
  constructor(
    private readonly client: Client,
    private readonly now: () => number,
  ) {
    client.on("state", (state) => this.onState(state));
    client.on("edges", (edges) => this.onEdges(edges));
  }

  private onState(state: ConnectionState): void {
    if (state.kind === "connected") {
      if (this.lost) {
        const why = this.client.lastLoss ?? "closed";
        const where = this.lost.node === state.node ? `node ${state.node} again` : `node ${this.lost.node} → ${state.node}`;
        this.add(`${where} in ${Math.round(this.now() - this.lost.at)} ms (${why})`);
      }
      this.lost = undefined;
      this.node = state.node;
    } else if (state.kind === "connecting") {
      if (this.node !== undefined) this.lost ??= { at: this.now(), node: this.node };
    } else {
      this.lost = undefined;
      this.node = undefined;
    }
  }

  private onEdges(edges: readonly EdgeAddress[]): void {
    const nodes = edges.flatMap((edge) => (edge.node === undefined ? [] : [edge.node])).sort((a, b) => a - b);
    const before = this.nodes;
    this.nodes = nodes;
    if (before.length === 0) return;
    for (const node of nodes) if (!before.includes(node)) this.add(`node ${node} came`);
    for (const node of before) if (!nodes.includes(node)) this.add(`node ${node} went`);
  }

  private add(text: string): void {
    this.lines.push({ at: this.now(), text });
    if (this.lines.length > LINES_MAX) this.lines.shift();
  }
}
