/** Deeds on the table of a trade: what each side offers of its estates. An estate is watched while a trade that has it is shown. */
import { fromBinary } from "@bufbuild/protobuf";
import { KIND_ESTATE } from "./estate.js";
import { EstatePublicSchema, Level, type EstatePublic, type Trade } from "./gen/pioneer_pb.js";
import { h } from "./dom.js";
import type { World } from "./world.js";

/** See the top of the file. */
export class Deeds {
  private readonly seen = new Map<bigint, EstatePublic | undefined>();

  constructor(private readonly world: World) {
    world.client.on("watched", ({ kind, id, public: shown }) => {
      if (kind === KIND_ESTATE && this.seen.has(id)) this.seen.set(id, shown && fromBinary(EstatePublicSchema, shown));
    });
  }

  /** What the table shows, for the panel to know when it has changed. */
  get state(): unknown {
    return [...this.seen];
  }

  /** Watches what a trade is about while `trade` is shown. */
  follow(trade: Trade | undefined): void {
    const wanted = trade ? new Set([...this.world.own.deeds, ...trade.theirDeeds]) : new Set<bigint>();
    for (const id of [...this.seen.keys()]) {
      if (wanted.has(id)) continue;
      this.seen.delete(id);
      this.world.client.unwatch(KIND_ESTATE, id);
    }
    for (const id of wanted) {
      if (this.seen.has(id)) continue;
      this.seen.set(id, undefined);
      this.world.client.watch(KIND_ESTATE, id);
    }
  }

  words(id: bigint): string {
    const count = this.seen.get(id)?.chunks.length;
    return count === undefined ? "an estate" : `an estate of ${count === 1 ? "1 plot" : `${count} plots`}`;
  }

  /** One side of the table. `click`: takes it back. */
  lines(ids: readonly bigint[], button: (key: string, text: string, click: () => void) => HTMLButtonElement, click?: (id: bigint) => void): HTMLElement[] {
    return ids.map((id) => {
      if (!click) return h("p", { className: "deed" }, this.words(id));
      const back = button(`deed${id}`, `${this.words(id)} ×`, () => click(id));
      back.ariaLabel = `take back ${this.words(id)}`;
      return back;
    });
  }

  /** What one could add. */
  offers(trade: Trade, button: (key: string, text: string, click: () => void) => HTMLButtonElement, offer: (id: bigint) => void): HTMLElement[] {
    const rest = this.world.own.deeds.filter((id) => !trade.myDeeds.includes(id));
    if (rest.length === 0) return [];
    const isOpen = (id: bigint) => {
      const rights = this.seen.get(id)?.rights;
      return rights !== undefined && [rights.gather, rights.build, rights.demolish].some((level) => level !== Level.OWNER);
    };
    const rows = rest.map((id) => {
      const row = button(`adddeed${id}`, isOpen(id) ? `${this.words(id)}: others may use it` : `Offer ${this.words(id)}`, () => offer(id));
      row.ariaDisabled = String(isOpen(id));
      if (isOpen(id)) row.onclick = null;
      return row;
    });
    return [h("h3", {}, "Your estates"), ...rows];
  }
}
