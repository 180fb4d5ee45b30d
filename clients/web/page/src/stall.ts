/** The panel of a market stall: what it offers, buying, and for its owner putting things up, prices, and what was earned. */
import { fromBinary } from "@bufbuild/protobuf";
import { Building, Item, News, StallPublicSchema, type Offered, type PlayerTold, type Stack, type StallPublic } from "./gen/pioneer_pb.js";
import { h } from "./dom.js";
import { off, Panel, type PanelWishes, type Part } from "./panel.js";
import { amount, type Some } from "./things.js";
import type { PlacedBuilding, World } from "./world.js";

/** Kind of stalls, as the game numbers it. */
const KIND_STALL = 61;
/** Most that a price can be in this panel. */
const PRICE_MAX = 200;

type View = { kind: "offers" } | { kind: "put" } | { kind: "price"; offer: number };

/** See the top of the file. */
export class StallPanel extends Panel {
  private view: View = { kind: "offers" };
  /** The stall that is open, and what it shows. */
  private stall: { id: bigint; x: number; y: number } | undefined;
  private seen: StallPublic | undefined;
  private gone = false;
  /** Lots to buy, by offer. */
  private readonly lots = new Map<number, number>();
  private lot: Some | undefined;
  private count = 1;
  private price: Some = { item: Item.NONE, count: 1 };

  constructor(world: World, wishes: PanelWishes) {
    super("stall", world, wishes);
    world.client.on("watched", ({ kind, id, public: bytes, refusal }) => {
      if (kind !== KIND_STALL || id !== this.stall?.id) return;
      this.seen = bytes ? fromBinary(StallPublicSchema, bytes) : undefined;
      this.gone = !bytes;
      if (refusal?.code === "too_many") wishes.toast("Too many people look at this stall. Try again in a moment.", true);
      this.draw();
    });
    world.on("told", (told) => this.onTold(told));
  }

  /** The stall next to somebody at a place, the nearest first. */
  near(x: number, y: number): PlacedBuilding | undefined {
    const reach = this.world.description?.stallReachMm ?? 0;
    let best: PlacedBuilding | undefined;
    for (const land of this.world.landsNear(x, y, reach)) {
      for (const building of land.buildings) {
        const mm = Math.hypot(building.x - x, building.y - y);
        if (building.built.what === Building.STALL && mm <= reach && (!best || mm < Math.hypot(best.x - x, best.y - y))) best = building;
      }
    }
    return best;
  }

  /** Opens the stall next to the player, or closes the panel. */
  override toggle(): void {
    if (this.isOpen) return this.close();
    const { x, y } = this.wishes.place();
    const stall = this.near(x, y);
    if (stall) this.show(stall);
    else this.wishes.toast("There is no stall next to you. Build one, or walk up to one.", true);
  }

  /** Opens a stall. */
  show({ x, y, built }: PlacedBuilding): void {
    if (this.stall?.id !== built.entity) {
      this.forget();
      this.stall = { id: built.entity, x, y };
      this.world.client.watch(KIND_STALL, built.entity);
    }
    this.go({ kind: "offers" });
  }

  override close(): void {
    this.forget();
    super.close();
  }

  protected override goBack(): boolean {
    if (this.view.kind === "offers") return false;
    this.go({ kind: "offers" });
    return true;
  }

  protected override state(): unknown {
    return [this.view, this.seen, this.gone, this.isNear, this.world.own.slots, [...this.lots], this.lot, this.count, this.price];
  }

  protected override parts(): Part[] {
    const { seen } = this;
    if (!seen) return [this.head("Stall"), h("p", {}, this.gone ? "This stall is not there any more." : "One moment …")];
    if (!this.isMine) return this.shopping(seen);
    if (this.view.kind === "put") return this.putting();
    if (this.view.kind === "offers") return this.keeping(seen);
    const number = this.view.offer;
    const offer = seen.offers.find((one) => one.number === number);
    return offer ? this.pricing(offer) : [this.head("Price", true), h("p", {}, "This offer is gone.")];
  }

  private get isMine(): boolean {
    return this.seen?.owner !== undefined && this.seen.owner.id === this.world.client.me?.id;
  }

  private get isNear(): boolean {
    const { x, y } = this.wishes.place();
    return this.stall !== undefined && Math.hypot(this.stall.x - x, this.stall.y - y) <= (this.world.description?.stallReachMm ?? 0);
  }

  private forget(): void {
    if (this.stall) this.world.client.unwatch(KIND_STALL, this.stall.id);
    this.stall = this.seen = undefined;
    this.gone = false;
    this.lots.clear();
  }

  private go(view: View): void {
    this.view = view;
    this.turn();
  }

  private onTold({ news, name, gift }: PlayerTold): void {
    if (news === News.SOLD && gift) this.wishes.toast(`${name} bought ${this.words(gift)} at your stall.`);
  }

  private get id(): bigint {
    return this.stall?.id ?? 0n;
  }

  // ---- buying ------------------------------------------------------------------------------------------------------

  private shopping({ owner, offers }: StallPublic): Part[] {
    const name = owner?.name ?? "Somebody";
    const parts: Part[] = [this.head(`${name}'s stall`)];
    if (!this.isNear) parts.push(h("p", {}, "Stand next to the stall to buy."));
    if (offers.length === 0) parts.push(h("p", {}, `${name} offers nothing just now.`));
    return [...parts, ...offers.map((offer) => this.offerCard(offer, this.buying(offer)))];
  }

  private buying(offer: Offered): Part[] {
    const { number, version, left, lot, price } = offer;
    if (!lot || !price || left === 0) return [];
    const lots = Math.min(this.lots.get(number) ?? 1, left);
    const cost = { item: price.item, count: price.count * lots };
    const goods = { item: lot.item, count: lot.count * lots, id: lot.id };
    const pays = this.world.count(price.item) >= cost.count;
    const buy = this.button(`buy${number}`, `Buy ${this.words(goods)}`, () => {
      const done = () => this.wishes.toast(`You bought ${this.words(goods)} for ${this.words(cost)}.`);
      this.wishes.act(`buy ${this.words(goods)} for ${this.words(cost)}`, { case: "buy", value: { stall: this.id, offer: number, version, lots } }, done);
    }, "good");
    const set = (count: number) => {
      this.lots.set(number, count);
      this.draw();
    };
    const step = left > 1 ? [this.stepper(`lots${number}`, "how many", lots, left, set)] : [];
    return [...step, off(buy, !pays || !this.isNear), h("small", {}, pays ? `for ${this.words(cost)}` : `for ${this.words(cost)}: you have ${this.world.count(price.item)}`)];
  }

  private offerCard({ lot, price, left }: Offered, rest: Part[]): HTMLElement {
    const stack = (key: string, some: Stack | undefined) => (some ? [this.tile(key, some.item, some.count, undefined, false, some.id)] : []);
    const words = lot && price ? `${this.words(lot)} for ${this.words(price)}` : "";
    const line = h("div", { className: "swap" }, ...stack("lot", lot), h("span", {}, "for"), ...stack("price", price), h("small", {}, left === 0 ? "sold out" : `${left} left`));
    line.title = words;
    return h("section", { className: left === 0 ? "offer out" : "offer" }, line, ...rest);
  }

  // ---- keeping a stall ---------------------------------------------------------------------------------------------

  private keeping({ offers, proceeds }: StallPublic): Part[] {
    const parts: Part[] = [this.head("Your stall")];
    if (!this.isNear) parts.push(h("p", {}, "Stand next to your stall to change anything."));
    if (proceeds.length > 0) parts.push(h("h3", {}, "Earned"), ...proceeds.map((stack) => this.earned(stack)));
    parts.push(h("h3", {}, "On offer"));
    if (offers.length === 0) parts.push(h("p", {}, "Nothing yet. What you put up here is sold while you are away."));
    parts.push(...offers.map((offer) => this.offerCard(offer, this.keeperButtons(offer))));
    const full = offers.length >= (this.world.description?.stallOffersMax ?? 0) && offers.every(({ left }) => left > 0);
    const put = this.button("put", full ? "More does not fit on the stall" : "Put something up", () => this.startPutting(), "good");
    return [...parts, off(put, full || !this.isNear)];
  }

  private earned(stack: Stack): HTMLElement {
    const fits = Math.min(stack.count, this.roomFor(stack.item));
    const some = { item: stack.item, count: fits };
    const label = fits === 0 ? `${this.words(stack)}: your bag is full` : fits < stack.count ? `Take ${this.words(some)} of ${stack.count}` : `Take ${this.words(stack)}`;
    const take = this.button(`earned${stack.item}`, label, () => this.wishes.act(`take ${this.words(some)}`, { case: "takeProceeds", value: { stall: this.id, stack: some } }), "good");
    return off(take, fits === 0 || !this.isNear);
  }

  /** How much of an item the bag still takes. What is on the table of a trade keeps its slots. */
  private roomFor(item: Item): number {
    const { own, description } = this.world;
    const max = description?.items.find((info) => info.item === item)?.stackMax ?? 1;
    const counts = new Map<Item, number>();
    for (const { item, count } of [...own.slots, ...(own.trade?.mine ?? [])]) counts.set(item, (counts.get(item) ?? 0) + count);
    let used = 0;
    for (const [other, count] of counts) used += Math.ceil(count / (description?.items.find((info) => info.item === other)?.stackMax ?? 1));
    const loose = (max - ((counts.get(item) ?? 0) % max)) % max;
    return Math.max(0, (description?.slotsMax ?? 0) - used) * max + loose;
  }

  private keeperButtons({ number, left, lot }: Offered): Part[] {
    const withdraw = () => this.wishes.act("take it back", { case: "withdraw", value: { stall: this.id, offer: number, lots: left } });
    const goods = lot ? { item: lot.item, count: lot.count * left, id: lot.id } : undefined;
    const back = this.button(`back${number}`, left === 0 || !goods ? "Remove" : `Take back ${this.words(goods)}`, withdraw);
    const price = this.button(`price${number}`, "Change the price", () => this.startPricing(number));
    return [h("div", { className: "two" }, off(price, left === 0 || !this.isNear), off(back, !this.isNear))];
  }

  private startPutting(): void {
    this.lot = undefined;
    this.count = 1;
    this.price = { item: Item.NONE, count: 1 };
    this.go({ kind: "put" });
  }

  private startPricing(number: number): void {
    const price = this.seen?.offers.find((offer) => offer.number === number)?.price;
    this.price = price ? { item: price.item, count: price.count } : { item: Item.NONE, count: 1 };
    this.go({ kind: "price", offer: number });
  }

  private putting(): Part[] {
    const parts: Part[] = [this.head("Put something up", true), h("h3", {}, "What one buyer gets")];
    const set = (lot: Some) => {
      this.lot = lot;
      if (this.price.item === lot.item) this.price = { item: Item.NONE, count: 1 };
      this.draw();
    };
    parts.push(this.bagTiles("lot", this.lot, set));
    const isUnique = this.lot && this.world.isUnique(this.lot.item);
    const have = !this.lot ? 0 : Math.min(amount(this.lot, this.world.own.slots), isUnique ? 1 : Infinity);
    if (!this.lot || have === 0) return parts;
    const lot = { ...this.lot, count: Math.min(this.lot.count, have) };
    const most = Math.floor(have / lot.count);
    const count = Math.min(this.count, most);
    if (!isUnique) {
      parts.push(this.stepper("lotcount", "how much one buyer gets", lot.count, have, (n) => set({ ...lot, count: n })));
      parts.push(h("h3", {}, `How many times ${this.words(lot)}`));
      parts.push(this.stepper("lots", "how many times", count, most, (n) => {
        this.count = n;
        this.draw();
      }));
    }
    parts.push(h("h3", {}, "What that costs, each"), ...this.priceParts(lot.item));
    const price = this.price;
    const words = price.item === Item.NONE ? "Choose a price" : `Offer ${count} × ${this.words(lot)} for ${this.words(price)}`;
    const put = this.button("offer", words, () => this.wishes.act(words.toLowerCase(), { case: "putUp", value: { stall: this.id, lot, price, lots: count } }, () => this.go({ kind: "offers" })), "good");
    return [...parts, off(put, price.item === Item.NONE)];
  }

  private pricing(offer: Offered): Part[] {
    const { number, lot } = offer;
    const words = lot ? this.words(lot) : "";
    const done = () => this.go({ kind: "offers" });
    const { price } = this;
    const set = this.button("setprice", price.item === Item.NONE ? "Choose a price" : `Sell ${words} for ${this.words(price)}`, () => this.wishes.act("change the price", { case: "reprice", value: { stall: this.id, offer: number, price } }, done), "good");
    return [this.head(`Price of ${words}`, true), ...this.priceParts(lot?.item ?? Item.NONE), off(set, price.item === Item.NONE)];
  }

  private priceParts(without: Item): Part[] {
    const items = (this.world.description?.items ?? []).filter(({ item, unique }) => item !== without && !unique);
    const set = (price: Some) => {
      this.price = price;
      this.draw();
    };
    const tiles = items.map(({ item }) => this.tile(`for${item}`, item, undefined, () => set({ item, count: this.price.count }), this.price.item === item));
    const { price } = this;
    return [h("div", { className: "tiles" }, ...tiles), ...(price.item === Item.NONE ? [] : [this.stepper("pricecount", "price", price.count, PRICE_MAX, (count) => set({ item: price.item, count }), false)])];
  }
}
