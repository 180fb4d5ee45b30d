/**
 * The panel of land: whose land one stands on and who may do what there, claiming, and one's own estates. What an estate looks like
 * comes from watching it, which the page does only while its page is open.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { type EstatePublic, EstatePublicSchema, Level, News, type Rights, type Terms } from "./gen/pioneer_pb.js";
import { h } from "./dom.js";
import { off, Panel, type PanelWishes, type Part } from "./panel.js";
import type { Act } from "./rights.js";
import { Biome } from "./terrain.js";
import type { World } from "./world.js";

/** The kind of estates, as the game numbers it. */
export const KIND_ESTATE = 70;
/** Chunks that can be claimed from where one stands: so many to each side. */
const AROUND = 2;
/** Steps in which the ground of a chunk is looked at, mm. The server's number. */
const FOOTING_MM = 5_000;
const DAY_MS = 24 * 3_600_000;

type View = { kind: "here" } | { kind: "claim" | "release"; estate: bigint } | { kind: "estate"; estate: bigint };
interface Cell {
  readonly cx: number;
  readonly cy: number;
}

const ACTS: readonly [Act, string][] = [["gather", "Gather"], ["build", "Build"], ["demolish", "Take down"]];
const LEVELS: readonly [Level, string][] = [[Level.OWNER, "me"], [Level.FRIENDS, "friends"], [Level.GUILD, "guild"], [Level.EVERYBODY, "all"]];

/** See the top of the file. */
export class EstatePanel extends Panel {
  private view: View = { kind: "here" };
  private watched: bigint | undefined;
  private seen: EstatePublic | undefined;
  /** The chunks that are chosen, and where one stood when it was opened. */
  private chosen: Cell[] = [];
  private middle: Cell = { cx: 0, cy: 0 };
  /** The button that asks whether one is sure. */
  private sure = "";

  constructor(world: World, wishes: PanelWishes, private readonly line: HTMLButtonElement) {
    super("estate", world, wishes, line);
    world.client.on("watched", ({ kind, id, public: shown }) => {
      if (kind !== KIND_ESTATE || id !== this.watched) return;
      this.seen = shown && fromBinary(EstatePublicSchema, shown);
      this.draw();
    });
    world.on("told", ({ news }) => {
      if (news === News.ESTATE_IDLE) wishes.toast("Nobody has attended your estate for long. A letter says more.");
      if (news === News.ESTATE_LAPSED) wishes.toast("Your estate is free for everybody now.");
    });
  }

  override toggle(): void {
    if (this.isOpen) this.close();
    else this.go({ kind: "here" });
  }

  override close(): void {
    this.follow(undefined);
    super.close();
  }

  /** Draws, also the line that says whose land one stands on. Call it a few times a second. */
  override draw(): void {
    const { line, world } = this;
    line.hidden = world.client.me === undefined || !world.description;
    const words = this.whose();
    if (line.textContent !== words) line.textContent = words;
    line.classList.toggle("own", this.isMine(this.terms));
    line.classList.toggle("others", this.terms !== undefined && !this.isMine(this.terms));
    // What was lost or sold meanwhile has no page.
    if (this.view.kind !== "here" && this.view.kind !== "claim" && !world.own.deeds.includes(this.view.estate)) this.view = { kind: "here" };
    super.draw();
  }

  protected override goBack(): boolean {
    const { view } = this;
    if (view.kind === "here") return false;
    this.go(view.kind === "estate" || view.estate === 0n ? { kind: "here" } : { kind: "estate", estate: view.estate });
    return true;
  }

  protected override state(): unknown {
    const { own, client } = this.world;
    const cells = this.view.kind === "claim" ? this.cells().map((cell) => this.whyNot(cell)) : [];
    return [this.view, this.seen, this.here, this.terms, own.deeds, own.guild, own.slots, own.trade?.myDeeds, this.chosen, this.sure, cells, Math.floor(client.worldMs / 60_000)];
  }

  protected override parts(): Part[] {
    const { view } = this;
    if (view.kind === "claim") return this.claimPage(view.estate);
    if (view.kind === "release") return this.releasePage(view.estate);
    return view.kind === "estate" ? this.estatePage(view.estate) : this.herePage();
  }

  private go(view: View): void {
    this.view = view;
    this.sure = "";
    this.follow(view.kind === "estate" || view.kind === "release" ? view.estate : undefined);
    this.turn();
  }

  private follow(estate: bigint | undefined): void {
    if (estate === this.watched) return;
    if (this.watched !== undefined) this.world.client.unwatch(KIND_ESTATE, this.watched);
    this.watched = estate;
    this.seen = undefined;
    if (estate !== undefined) this.world.client.watch(KIND_ESTATE, estate);
  }

  // ---- the ground ----------------------------------------------------------------------------------------------------

  private get here(): Cell {
    const { x, y } = this.wishes.place();
    const size = this.world.client.picture.chunkMm;
    return { cx: Math.floor(x / size), cy: Math.floor(y / size) };
  }

  private get terms(): Terms | undefined {
    return this.termsOf(this.here);
  }

  private termsOf({ cx, cy }: Cell): Terms | undefined {
    return this.world.landOf(cx, cy)?.terms;
  }

  private isMine(terms: Terms | undefined): boolean {
    return terms !== undefined && this.world.own.deeds.includes(terms.estate);
  }

  private isCommons({ cx, cy }: Cell): boolean {
    const { description, client } = this.world;
    if (!description) return true;
    const size = client.picture.chunkMm;
    const gap = (v: number, from: number) => Math.max(from - v, 0, v - from - size);
    return Math.hypot(gap(description.villageX, cx * size), gap(description.villageY, cy * size)) < description.commonsMm;
  }

  private hasFooting({ cx, cy }: Cell): boolean {
    const { terrain, client } = this.world;
    const size = client.picture.chunkMm;
    for (let y = cy * size; y < (cy + 1) * size; y += FOOTING_MM) {
      for (let x = cx * size; x < (cx + 1) * size; x += FOOTING_MM) {
        const biome = terrain?.biome(x, y);
        if (biome !== Biome.Water && biome !== Biome.Cliff) return true;
      }
    }
    return false;
  }

  private whose(): string {
    const { terms } = this;
    if (this.isMine(terms)) return "Your land";
    if (terms) return terms.owner ? `${terms.owner.name}'s land` : "Land that is soon free";
    return this.isCommons(this.here) ? "Everybody's land" : "Nobody's land";
  }

  // ---- here ----------------------------------------------------------------------------------------------------------

  private herePage(): Part[] {
    const { terms } = this;
    const parts: Part[] = [this.head(this.whose())];
    if (this.isMine(terms)) parts.push(h("p", {}, "You may do everything here."));
    else if (terms) parts.push(h("p", {}, "What its owner allows:"), this.rightsList(terms.rights));
    else if (this.isCommons(this.here)) parts.push(h("p", {}, "The land around the village belongs to everybody, for ever. Walk further to claim some of your own."));
    else parts.push(h("p", {}, "Claim it, and you say who gathers and builds here."), this.claimButton("claim", "Claim land here …", 0n));
    const { deeds } = this.world.own;
    if (deeds.length > 0) parts.push(h("h3", {}, "Your estates"), ...deeds.map((estate, at) => this.deedRow(estate, at)));
    return parts;
  }

  private rightsList(rights: Rights | undefined): HTMLElement {
    const who = (level: Level) => ({ [Level.OWNER]: "nobody else", [Level.FRIENDS]: "friends", [Level.GUILD]: `friends${rights?.guildName ? ` and ${rights.guildName}` : ""}`, [Level.EVERYBODY]: "everybody" })[level];
    return h("dl", { className: "rights" }, ...ACTS.flatMap(([act, words]) => [h("dt", {}, words), h("dd", {}, who(rights?.[act] ?? Level.OWNER))]));
  }

  private deedRow(estate: bigint, at: number): HTMLElement {
    const row = this.button(`deed${estate}`, "", () => this.go({ kind: "estate", estate }), "row");
    const offered = this.world.own.trade?.myDeeds.includes(estate);
    const words = offered ? "offered in a trade" : this.terms?.estate === estate ? "you stand on it" : "elsewhere";
    row.replaceChildren(h("span", {}, `Estate ${at + 1}`, h("small", {}, words)), h("i", { ariaHidden: "true" }, "›"));
    return row;
  }

  private claimButton(key: string, words: string, estate: bigint): HTMLElement {
    const full = estate === 0n && this.world.own.deeds.length >= (this.world.description?.deedsMax ?? 0);
    const open = () => {
      this.middle = this.here;
      const free = this.whyNot(this.here) === "";
      this.chosen = free ? [this.here] : [];
      this.go({ kind: "claim", estate });
    };
    return off(this.button(key, full ? "You have as many estates as one can have" : words, open, "good"), full);
  }

  // ---- claiming and releasing ------------------------------------------------------------------------------------------

  private cells(): Cell[] {
    const { cx, cy } = this.middle;
    const side = Array.from({ length: 2 * AROUND + 1 }, (_, k) => k - AROUND);
    return side.flatMap((dy) => side.map((dx) => ({ cx: cx + dx, cy: cy + dy })));
  }

  /** Why a chunk cannot be claimed, in a word; empty: it can. */
  private whyNot(cell: Cell): string {
    const terms = this.termsOf(cell);
    if (this.isMine(terms)) return "yours";
    if (terms) return `${terms.owner?.name ?? "somebody"}'s`;
    if (this.isCommons(cell)) return "everybody's";
    if (!this.hasFooting(cell)) return "water";
    return this.world.landOf(cell.cx, cell.cy)?.buildings.some(({ built }) => built.owner !== this.world.client.me?.id) ? "built on" : "";
  }

  private claimPage(estate: bigint): Part[] {
    const { description } = this.world;
    const most = description?.claimChunksMax ?? 0;
    const count = this.chosen.length;
    const grid = h("div", { className: "plots", role: "group", ariaLabel: "Plots around you, north is up" }, ...this.cells().map((cell) => this.plot(cell, this.whyNot(cell), most)));
    const price = (description?.estatePrice ?? []).map(({ item, count: each }) => ({ item, count: each * Math.max(count, 1) }));
    const lacks = price.filter(({ item, count: needed }) => this.world.count(item) < needed);
    const stands = this.chosen.some((cell) => same(cell, this.here));
    const whole = isConnected([...this.chosen, ...(estate === 0n ? [] : this.ownCells(estate))]);
    const words = count === 0 ? "Choose plots" : `Claim ${plots(count)}`;
    const claim = () => {
      const chunks = this.chosen.map(({ cx, cy }) => ({ cx, cy }));
      const done = () => {
        this.wishes.toast(`${count === 1 ? "This plot is" : `These ${count} plots are`} yours now.`);
        this.go({ kind: "here" });
      };
      this.wishes.act(`claim ${plots(count)}`, { case: "claimLand", value: { estate, chunks } }, done);
    };
    const ready = count > 0 && lacks.length === 0 && stands && whole;
    const why = count > 0 && !stands ? "Stand on one of the plots." : count > 0 && !whole ? "The plots of an estate lie side by side." : "";
    return [
      this.head(estate === 0n ? "Claim land" : "More land", true),
      h("p", {}, "Each plot is 30 m wide. North is up; you stand in the middle."),
      grid,
      h("p", { className: lacks.length > 0 ? "lacks" : "" }, `It costs ${this.list(price as never)}.`, ...(lacks.length > 0 ? [` You have ${lacks.map(({ item }) => `${this.world.count(item)} ${this.world.itemName(item)}`).join(", ")}.`] : [])),
      ...(why ? [h("p", { className: "lacks" }, why)] : []),
      off(this.button("doclaim", words, claim, "good"), !ready),
    ];
  }

  /** The land of an own estate, as far as it is in sight. */
  private ownCells(estate: bigint): Cell[] {
    return [...this.world.lands.values()].filter(({ terms }) => terms?.estate === estate).map(({ chunk }) => ({ cx: chunk.x, cy: chunk.y }));
  }

  private plot(cell: Cell, why: string, most: number): HTMLElement {
    const chosen = this.chosen.some((other) => same(other, cell));
    const [dx, dy] = [cell.cx - this.middle.cx, cell.cy - this.middle.cy];
    const toggle = () => {
      if (!chosen && this.chosen.length >= most) return this.wishes.toast(`One claim has ${most} plots at most.`, true);
      this.chosen = chosen ? this.chosen.filter((other) => !same(other, cell)) : [...this.chosen, cell];
      this.draw();
    };
    const button = this.button(`plot${dx}/${dy}`, "", toggle, `plot ${chosen ? "chosen" : ""} ${why === "yours" ? "own" : why ? "taken" : ""}`);
    const standing = same(cell, this.here);
    button.replaceChildren(...(standing ? [h("b", { ariaHidden: "true" }, "●")] : []), h("small", {}, short(why)));
    button.ariaLabel = `${where(dx, dy)}: ${why || "free"}${standing ? ", you stand here" : ""}`;
    button.title = why ? capital(why) : "Free";
    button.ariaPressed = String(chosen);
    return off(button, why !== "");
  }

  private releasePage(estate: bigint): Part[] {
    const { seen } = this;
    if (!seen) return [this.head("Release land", true), h("p", {}, "One moment …")];
    const count = this.chosen.length;
    const release = () => {
      const chunks = this.chosen.map(({ cx, cy }) => ({ cx, cy }));
      this.wishes.act(`release ${plots(count)}`, { case: "releaseLand", value: { estate, chunks } }, () => {
        this.wishes.toast(`${capital(plots(count))} ${count === 1 ? "is" : "are"} free now.`);
        this.go({ kind: "here" });
      });
    };
    const most = this.world.description?.claimChunksMax ?? 0;
    const rest = seen.chunks.filter((cell) => !this.chosen.some((other) => same(other, cell)));
    const words = count === 0 ? "Choose plots" : `Release ${plots(count)}`;
    return [
      this.head("Release land", true),
      h("p", {}, "What is built there stays. Nothing is paid back."),
      this.shape(seen, (cell) => this.releasable(cell, most)),
      ...(isConnected(rest) ? [] : [h("p", { className: "lacks" }, "The plots that you keep lie side by side.")]),
      off(this.button("dorelease", words, release, "good"), count === 0 || !isConnected(rest)),
    ];
  }

  private releasable(cell: Cell, most: number): HTMLElement {
    const chosen = this.chosen.some((other) => same(other, cell));
    const standing = same(cell, this.here);
    const button = this.button(`free${cell.cx}/${cell.cy}`, standing ? "●" : "", () => {
      if (!chosen && this.chosen.length >= most) return this.wishes.toast(`${most} plots at a time.`, true);
      this.chosen = chosen ? this.chosen.filter((other) => !same(other, cell)) : [...this.chosen, cell];
      this.draw();
    }, `plot own ${chosen ? "chosen" : ""}`);
    button.ariaLabel = `plot ${cell.cx}, ${cell.cy}${standing ? ", you stand here" : ""}`;
    button.ariaPressed = String(chosen);
    return button;
  }

  /** The plots of an estate, as they lie. */
  private shape(seen: EstatePublic, piece: (cell: Cell) => HTMLElement): HTMLElement {
    const xs = seen.chunks.map(({ cx }) => cx);
    const ys = seen.chunks.map(({ cy }) => cy);
    const [x0, y0] = [Math.min(...xs), Math.min(...ys)];
    const box = h("div", { className: "shape" });
    box.style.gridTemplateColumns = `repeat(${Math.max(...xs) - x0 + 1}, minmax(0, 48px))`;
    for (const cell of seen.chunks) {
      const one = piece(cell);
      one.style.gridColumn = String(cell.cx - x0 + 1);
      one.style.gridRow = String(cell.cy - y0 + 1);
      box.append(one);
    }
    return box;
  }

  // ---- an own estate ---------------------------------------------------------------------------------------------------

  private estatePage(estate: bigint): Part[] {
    const { seen, world } = this;
    const title = `Estate ${world.own.deeds.indexOf(estate) + 1}`;
    if (!seen) return [this.head(title, true), h("p", {}, "One moment …")];
    const offered = world.own.trade?.myDeeds.includes(estate) ?? false;
    const plain = (cell: Cell) => h("span", { className: "plot own" }, same(cell, this.here) ? "●" : "");
    const map = this.shape(seen, plain);
    map.classList.add("small");
    const parts: Part[] = [this.head(title, true), h("p", {}, `${capital(plots(seen.chunks.length))}. ${this.lapse(seen)}`), map];
    if (offered) return [...parts, h("p", {}, "You offer it in a trade. Nothing about it changes until the trade is over.")];
    parts.push(h("h3", {}, "Who may do what"), ...ACTS.map(([act, words]) => this.rightRow(estate, seen, act, words)));
    parts.push(h("p", { className: "quietly" }, seen.settling ? "Some of the land has not heard of it yet." : this.closed(seen) ? "Nobody else: it can be sold in a trade." : "Before you sell it, let nobody else do anything."));
    const grow = this.claimButton("grow", "More land …", estate);
    grow.className = "";
    const release = this.button("release", "Release …", () => {
      this.chosen = [];
      this.go({ kind: "release", estate });
    });
    const full = seen.chunks.length >= (world.description?.estateChunksMax ?? 0);
    parts.push(h("div", { className: "two" }, off(grow as HTMLButtonElement, full), release));
    const attend = () => this.wishes.act("say that you are still here", { case: "attendEstate", value: { estate } }, () => this.wishes.toast("Nobody will think that you have left."));
    parts.push(this.button("attend", "I am still here", attend));
    const asks = this.sure === "abandon";
    const abandon = () => {
      this.sure = asks ? "" : "abandon";
      if (asks) this.wishes.act("give the estate up", { case: "abandonEstate", value: { estate } }, () => this.wishes.toast("The land is free for everybody."));
      this.draw();
    };
    parts.push(this.button("abandon", asks ? "Really give all of it up?" : "Give it up", abandon, asks ? "sure" : "quiet"));
    return parts;
  }

  private closed({ rights }: EstatePublic): boolean {
    return ACTS.every(([act]) => (rights?.[act] ?? Level.OWNER) === Level.OWNER);
  }

  private rightRow(estate: bigint, seen: EstatePublic, act: Act, words: string): HTMLElement {
    const { guild } = this.world.own;
    const now = seen.rights?.[act] ?? Level.OWNER;
    const buttons = LEVELS.map(([level, text]) => {
      const set = () => {
        const { gather, build, demolish } = seen.rights ?? { gather: 0, build: 0, demolish: 0 };
        const rights = { gather, build, demolish, [act]: level, guild: guild?.id ?? 0n };
        this.wishes.act("say who may do what", { case: "setRights", value: { estate, rights } });
      };
      const button = this.button(`${act}${level}`, text, set, level === now ? "chosen" : "");
      button.ariaPressed = String(level === now);
      button.ariaLabel = `${words}: ${text}`;
      return off(button, level === now || (level === Level.GUILD && !guild));
    });
    return h("div", { className: "right", role: "group", ariaLabel: words }, h("span", {}, words), h("div", {}, ...buttons));
  }

  private lapse(seen: EstatePublic): string {
    const { description, client } = this.world;
    const life = Number(seen.attendedAt) + Number(description?.estateLifeMs ?? 0n);
    const warned = seen.warnedAt === 0n ? 0 : Number(seen.warnedAt) + Number(description?.estateWarningMs ?? 0n);
    const days = Math.max(0, Math.ceil((Math.max(life, warned) - client.worldMs) / DAY_MS));
    return `Free for everybody in ${days === 1 ? "a day" : `${days} days`}, if nobody does anything there.`;
  }
}

function same(one: Cell, other: Cell): boolean {
  return one.cx === other.cx && one.cy === other.cy;
}

/** Whether one can go from each to each other one without leaving them. */
function isConnected(cells: readonly Cell[]): boolean {
  const reached = cells.slice(0, 1);
  for (let at = 0; at < reached.length; at++) {
    const from = reached[at]!;
    for (const to of cells) {
      if (Math.abs(from.cx - to.cx) + Math.abs(from.cy - to.cy) === 1 && !reached.some((cell) => same(cell, to))) reached.push(to);
    }
  }
  return cells.every((cell) => reached.some((other) => same(other, cell)));
}

/** What fits on a plot. */
function short(why: string): string {
  return why === "everybody's" ? "village" : why.endsWith("'s") ? "taken" : why;
}

function plots(count: number): string {
  return count === 1 ? "1 plot" : `${count} plots`;
}

function where(dx: number, dy: number): string {
  const way = (n: number, plus: string, minus: string) => (n === 0 ? [] : [`${Math.abs(n)} ${n > 0 ? plus : minus}`]);
  return [...way(dy, "south", "north"), ...way(dx, "east", "west")].join(", ") || "middle";
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
