/**
 * The panel of people: who is near and who is a friend, what one can do with a person, giving, and trading. Plain DOM; text is
 * never read as HTML. It draws itself again only when what it shows has changed, and keeps the focus where it was.
 */
import type { Entity } from "@gundo/client";
import { Deeds } from "./deeds.js";
import { playerSprite } from "./folk.js";
import { Item, News, type Person, type PlayerReply, type PlayerTold, type Stack, type Trade } from "./gen/pioneer_pb.js";
import { type GuildPage, Guilds } from "./guild.js";
import { h, redraw } from "./dom.js";
import { icon, itemIcon } from "./hud.js";
import { Renaming } from "./renaming.js";
import { amount, isSame, keyOf, sorts, wordsOf, type Some } from "./things.js";
import { entityKey, KIND_PLAYER, type PlayerWish, type World } from "./world.js";

/** People near that are listed, the nearest first. */
const NEAR_MAX = 12;
/** A change of the other one's offer is shown for this long before one can confirm it, ms: nobody confirms what just came. */
const FRESH_MS = 900;
/** A trade may be known this long after the answer that it has begun, ms. */
const BEGIN_MS = 2_000;
/** The coat of people who are not in sight. */
const GREY = 11;

/** What the panel asks the page to do. */
export interface PeopleWishes {
  /** Sends a command; `what`: in words. */
  act(what: string, wish: PlayerWish, done?: (reply: PlayerReply) => void, refused?: (code: string) => void): void;
  toast(text: string, no?: boolean): void;
  /** Where the own body is, mm. */
  place(): { x: number; y: number };
  /** It was opened. */
  opened(): void;
  /** Opens a letter to somebody. */
  write(to: Person): void;
}

type View = { kind: "list" } | { kind: "name" } | { kind: "guild"; page: GuildPage } | { kind: "person" | "give"; person: Person } | { kind: "trade" };
type Part = Node | string;

/** A player in sight. */
interface Near {
  readonly person: Person;
  readonly mm: number;
}

/** See the top of the file. */
export class People {
  private readonly box = document.getElementById("people") as HTMLElement;
  private readonly opener = document.getElementById("peoplebutton") as HTMLButtonElement;
  private view: View = { kind: "list" };
  private openedAt = -Infinity;
  private drawn = "";
  /** What is chosen to give or offer. */
  private picked: Some | undefined;
  /** The other one's offer as last drawn, and when it changed. */
  private theirs = { version: 0n, at: -Infinity };
  /** The other one does not answer: one may leave alone. */
  private stuck = false;
  private readonly guilds: Guilds;
  private readonly renaming: Renaming;
  private readonly deeds: Deeds;

  constructor(
    private readonly world: World,
    private readonly wishes: PeopleWishes,
  ) {
    this.opener.onclick = () => this.toggle();
    world.on("told", (told) => this.onTold(told));
    this.renaming = new Renaming(world, wishes, {
      head: (title, deeper) => this.head(title, deeper),
      button: (key, text, click, className) => this.button(key, text, click, className),
      done: () => void this.back(),
    });
    this.deeds = new Deeds(world);
    this.guilds = new Guilds(world, wishes, {
      renaming: this.renaming,
      head: (title, deeper) => this.head(title, deeper),
      button: (key, text, click, className) => this.button(key, text, click, className),
      row: (person, words, click) => this.row(person, words, click, ""),
      face: (id) => this.face(id),
      picker: (verb, send, from, empty) => this.picker(verb, send, from, empty),
      shelf: (from) => [h("div", { className: "tiles" }, ...from.map((stack, at) => this.tile(`shelf${at}`, stack, undefined)))],
      words: (stack) => this.words(stack),
      go: (page) => this.go({ kind: "guild", page }),
      others: () => this.others(),
      tag: (id) => this.tag(id),
    });
  }

  /** Whether it is open. */
  get isOpen(): boolean {
    return !this.box.hidden;
  }

  /** Opens it with the list, or closes it. */
  toggle(): void {
    if (this.isOpen) return this.close();
    const { trade } = this.world.own;
    this.open(trade && !trade.askedMe ? { kind: "trade" } : { kind: "list" });
  }

  /** Opens it with the own guild, or closes it from there. */
  toggleGuild(): void {
    if (this.isOpen && this.view.kind === "guild") this.close();
    else this.open({ kind: "guild", page: { at: "home" } });
  }

  /** Opens it with a person in the world. */
  show(entity: Entity): void {
    this.open({ kind: "person", person: this.personOf(entity) });
  }

  /** Goes back to the list, or closes it from there. False: it was closed. */
  back(): boolean {
    if (!this.isOpen) return false;
    const { view } = this;
    if (view.kind === "list") this.close();
    else if (view.kind === "guild" && view.page.at !== "home" && this.world.own.guild) this.go({ kind: "guild", page: { at: "home" } });
    else this.go({ kind: "list" });
    return true;
  }

  /** Closes it. */
  close(): void {
    if (this.box.contains(document.activeElement)) this.opener.focus();
    this.box.hidden = true;
    this.guilds.follow(false);
    this.deeds.follow(undefined);
    this.opener.setAttribute("aria-expanded", "false");
    document.getElementById("hud")?.classList.remove("people");
  }

  /** Draws what has changed. Call it a few times a second. */
  draw(now: number): void {
    const { own } = this.world;
    const waiting = own.asksMe.length + own.invitations.length + (own.trade ? 1 : 0);
    this.opener.hidden = this.world.client.me === undefined;
    const count = this.opener.querySelector("b");
    if (count && count.textContent !== String(waiting)) count.textContent = String(waiting);
    if (count) count.hidden = waiting === 0;
    if (!this.isOpen) return;
    if (this.view.kind === "trade" && !own.trade && now - this.openedAt > BEGIN_MS) this.view = { kind: "list" };
    this.guilds.follow(this.view.kind === "guild");
    this.deeds.follow(this.view.kind === "trade" ? own.trade : undefined);
    const version = own.trade?.version ?? 0n;
    if (version !== this.theirs.version) this.theirs = { version, at: now };
    const near = this.near();
    const state = [this.view, own, near.map(({ person, mm }) => [person, this.reaches(mm), this.tag(person.id)]), this.guilds.state, this.deeds.state, this.view.kind === "name" && this.renaming.state, this.picked, this.stuck, now - this.theirs.at < FRESH_MS];
    const drawn = JSON.stringify(state, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.redraw(near, now);
  }

  private redraw(near: readonly Near[], now: number): void {
    const { view } = this;
    const parts = view.kind === "list" ? this.list(near) : view.kind === "name" ? this.renaming.page() : view.kind === "guild" ? this.guilds.page(view.page) : view.kind === "person" ? this.person(view.person, near) : view.kind === "give" ? this.give(view.person) : this.trade(now);
    redraw(this.box, parts);
  }

  private open(view: View): void {
    this.wishes.opened();
    this.box.hidden = false;
    this.opener.setAttribute("aria-expanded", "true");
    document.getElementById("hud")?.classList.add("people");
    this.go(view);
  }

  private go(view: View): void {
    this.view = view;
    this.picked = undefined;
    this.guilds.turned();
    this.drawn = "";
    this.openedAt = performance.now();
    this.draw(this.openedAt);
    this.box.scrollTop = 0;
    this.box.querySelector<HTMLElement>("h2")?.focus();
  }

  // ---- people ------------------------------------------------------------------------------------------------------

  private personOf(entity: Entity): Person {
    return { id: entity.id, name: this.world.players.get(entity.key)?.name ?? "" } as Person;
  }

  private near(): Near[] {
    const { client, own } = this.world;
    const { x, y } = this.wishes.place();
    const others = [...client.picture.entities.values()].filter((entity) => entity.kind === KIND_PLAYER && entity.hasBody && entity.key !== client.me?.key);
    return others
      .map((entity) => ({ person: this.personOf(entity), mm: Math.hypot(entity.body.x - x, entity.body.y - y) }))
      .filter(({ person }) => !has(own.blocked, person.id))
      .sort((a, b) => a.mm - b.mm);
  }

  /** Whether gifts and trades reach so far. */
  private reaches(mm: number | undefined): boolean {
    return mm !== undefined && mm <= (this.world.description?.giveReachMm ?? 0);
  }

  private face(id: bigint): HTMLElement {
    const seen = this.world.players.get(entityKey(KIND_PLAYER, id));
    const colour = seen?.colour ?? GREY;
    const draw = (c: CanvasRenderingContext2D) => {
      const { canvas } = playerSprite(colour, id, Math.PI / 2, 0, Item.NONE);
      // Close up: the picture has room for a step and a jump.
      const k = 140 / canvas.height;
      c.drawImage(canvas, 48 - (canvas.width * k) / 2, -22, canvas.width * k, canvas.height * k);
    };
    return h("img", { src: icon(`p${colour}/${id & 0xffn}`, draw), alt: "", className: seen ? "" : "away" });
  }

  private list(near: readonly Near[]): Part[] {
    const { friends, asksMe, asked, blocked, trade } = this.world.own;
    const parts: Part[] = [this.head("People"), ...this.ownRow()];
    if (trade?.with) {
      const words = trade.askedMe && trade.mine.length === 0 ? `${trade.with.name} would like to trade` : `You trade with ${trade.with.name}`;
      parts.push(h("div", { className: "card" }, h("p", {}, words), this.button("opentrade", "Open the trade", () => this.go({ kind: "trade" }), "good"), this.leaveButton(trade)));
    }
    for (const person of asksMe) {
      const accept = this.button(`accept${person.id}`, "Accept", () => this.befriend(person), "good");
      const decline = this.button(`decline${person.id}`, "Decline", () => this.unfriend(person, "decline"));
      parts.push(h("div", { className: "card" }, h("p", {}, `${person.name} would like to be friends`), accept, decline));
    }
    parts.push(...this.guilds.cards());
    const seen = new Map(near.map((one) => [one.person.id, one]));
    const strangers = near.filter(({ person }) => !has(friends, person.id)).slice(0, NEAR_MAX);
    parts.push(...this.section("Near you", strangers.map(({ person }) => this.row(person, has(asked, person.id) ? "asked" : ""))));
    if (strangers.length === 0) parts.push(h("p", {}, friends.some(({ id }) => seen.has(id)) ? "Only friends." : "Nobody else is in sight."));
    const rank = (person: Person) => (seen.has(person.id) ? 0 : 1);
    const sorted = [...friends].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
    parts.push(...this.section("Friends", sorted.map((person) => this.row(person, seen.has(person.id) ? "near you" : "not in sight"))));
    if (friends.length === 0) parts.push(h("p", {}, "No friends yet. Touch somebody on the island, and ask."));
    parts.push(...this.guilds.entry());
    const away = asked.filter(({ id }) => !seen.has(id));
    if (away.length > 0) parts.push(...this.section("Asked", away.map((person) => this.row(person, "has not answered"))));
    if (blocked.length > 0) parts.push(...this.section("Blocked", blocked.map((person) => this.row(person, ""))));
    return parts;
  }

  /** The own name, and the way to change it. */
  private ownRow(): Part[] {
    const { client, own } = this.world;
    if (!client.me || !own.name) return [];
    return [this.row({ id: client.me.id, name: own.name } as Person, "you: change your name", () => this.go({ kind: "name" }), "")];
  }

  private section(title: string, rows: Part[]): Part[] {
    return [h("h3", {}, title), ...rows];
  }

  private row(person: Person, words: string, click = () => this.go({ kind: "person", person }), tag = this.tag(person.id)): HTMLElement {
    const row = this.button(`person${person.id}`, "", click, "row");
    row.replaceChildren(this.face(person.id), h("span", {}, person.name, h("small", {}, ...badge(tag), words)), h("i", { ariaHidden: "true" }, "›"));
    return row;
  }

  /** The name of a person's guild, if the person is in sight and in one. */
  private tag(id: bigint): string {
    return this.world.players.get(entityKey(KIND_PLAYER, id))?.guild ?? "";
  }

  /** Friends, and who is near. */
  private others(): Person[] {
    const { friends } = this.world.own;
    return [...friends, ...this.near().slice(0, NEAR_MAX).flatMap(({ person }) => (has(friends, person.id) ? [] : [person]))];
  }

  private person(person: Person, near: readonly Near[]): Part[] {
    const { friends, asksMe, asked, blocked, trade } = this.world.own;
    const mm = near.find((one) => one.person.id === person.id)?.mm;
    const close = this.reaches(mm);
    const is = (list: readonly Person[]) => has(list, person.id);
    const words = is(blocked)
      ? "Blocked: nothing of theirs reaches you."
      : is(friends)
        ? "Your friend."
        : is(asked)
          ? "You have asked. There is no answer yet."
          : is(asksMe)
            ? "Would like to be friends."
            : mm === undefined
              ? "Not in sight."
              : "Somebody on this island.";
    const parts: Part[] = [this.head(person.name, true), h("div", { className: "who" }, this.face(person.id), h("p", {}, ...badge(this.tag(person.id)), words))];
    if (!is(blocked)) {
      const give = this.button("give", "Give …", () => this.go({ kind: "give", person }));
      const dealing = trade?.with?.id === person.id;
      const begin = () => this.wishes.act(`trade with ${person.name}`, { case: "beginTrade", value: { with: person.id } }, () => this.go({ kind: "trade" }));
      const swap = this.button("trade", dealing ? "Open the trade" : "Trade", dealing ? () => this.go({ kind: "trade" }) : begin);
      parts.push(h("div", { className: "two" }, off(give, !close), off(swap, !dealing && (!close || trade !== undefined))));
      if (!close) parts.push(h("p", {}, `Stand next to ${person.name} to give or trade.`));
      else if (trade && !dealing) parts.push(h("p", {}, "You are in another trade."));
      parts.push(this.button("write", "Write a letter", () => this.wishes.write(person)));
    }
    const friend = is(friends)
      ? this.button("unfriend", "End the friendship", () => this.unfriend(person, "end the friendship"))
      : is(asked)
        ? this.button("unask", "Withdraw", () => this.unfriend(person, "withdraw the request"))
        : this.button("befriend", is(asksMe) ? "Accept as a friend" : "Ask to be friends", () => this.befriend(person), is(asksMe) ? "good" : "");
    const block = is(blocked)
      ? this.button("unblock", "Unblock", () => this.wishes.act(`unblock ${person.name}`, { case: "unblock", value: { whom: person.id } }))
      : this.button("block", "Block", () => this.wishes.act(`block ${person.name}`, { case: "block", value: { whom: person.id } }, () => this.wishes.toast(`Nothing of ${person.name} reaches you any more.`)), "quiet");
    parts.push(...this.guilds.personPart(person));
    return is(blocked) ? [...parts, block] : is(asksMe) ? [...parts, friend, this.button("decline", "Decline", () => this.unfriend(person, "decline")), block] : [...parts, friend, block];
  }

  private befriend(person: Person): void {
    const accepts = has(this.world.own.asksMe, person.id);
    const done = () => this.wishes.toast(accepts ? `You and ${person.name} are friends now.` : `${person.name} has been asked.`);
    this.wishes.act(`befriend ${person.name}`, { case: "befriend", value: { with: person.id } }, done);
  }

  private unfriend(person: Person, what: string): void {
    this.wishes.act(`${what}: ${person.name}`, { case: "unfriend", value: { with: person.id } });
  }

  // ---- things ------------------------------------------------------------------------------------------------------

  private give(person: Person): Part[] {
    const send = (each: Some) => {
      const done = () => {
        this.wishes.toast(`You gave ${person.name} ${this.words(each)}.`);
        this.go({ kind: "person", person });
      };
      this.wishes.act(`give ${person.name} ${this.words(each)}`, { case: "give", value: { to: [person.id], each } }, done);
    };
    return [this.head(`Give to ${person.name}`, true), ...this.picker(`Give`, send)];
  }

  private words(some: Some): string {
    return wordsOf(this.world.itemName(some.item), some);
  }

  /** Chooses something from the bag, or from another place, and how much of it. */
  private picker(verb: string, send: (some: Some) => void, from: readonly Stack[] = this.world.own.slots, empty = "Your bag is empty."): Part[] {
    const all = sorts(from);
    if (all.length === 0) return [h("p", {}, empty)];
    if (this.picked && amount(this.picked, all) === 0) this.picked = undefined;
    const { picked } = this;
    const grid = all.map((some) => this.tile(`pick${keyOf(some)}`, some, () => this.pick({ ...some, count: 1 }), isSame(picked, some)));
    const parts: Part[] = [h("div", { className: "tiles" }, ...grid)];
    if (!picked) return [...parts, h("p", {}, "Choose something.")];
    const most = this.world.isUnique(picked.item) ? 1 : amount(picked, all);
    const count = Math.min(Math.max(picked.count, 1), most);
    const some = { ...picked, count };
    const step = (key: string, label: string, to: number, words: string) => {
      const button = this.button(key, label, () => this.pick({ ...picked, count: to }));
      button.ariaLabel = words;
      return off(button, to < 1 || to > most || to === count);
    };
    const stepper = h("div", { className: "stepper" }, step("less", "−", count - 1, "one less"), h("output", {}, String(count)), step("more", "+", count + 1, "one more"), step("all", "all", most, "all of it"));
    const go = this.button("send", `${verb} ${this.words(some)}`, () => send(some), "good");
    return [...parts, ...(this.world.isUnique(picked.item) ? [] : [stepper]), go];
  }

  private pick(picked: Some): void {
    this.picked = picked;
    this.draw(performance.now());
  }

  private tile(key: string, stack: Some, click: (() => void) | undefined, chosen = false): HTMLElement {
    const name = this.world.itemName(stack.item);
    const tile = this.button(key, "", click ?? (() => undefined), chosen ? "tile chosen" : "tile");
    tile.replaceChildren(h("img", { src: itemIcon(stack.item), alt: "" }), h("b", {}, String(stack.count)));
    tile.title = tile.ariaLabel = wordsOf(name, stack);
    tile.disabled = !click;
    if (click) tile.ariaPressed = String(chosen);
    return tile;
  }

  // ---- trade -------------------------------------------------------------------------------------------------------

  private trade(now: number): Part[] {
    const { trade } = this.world.own;
    if (!trade) return [this.head("Trade", true), h("p", {}, "One moment …")];
    const name = trade.with?.name ?? "";
    const fresh = now - this.theirs.at < FRESH_MS;
    const button = (key: string, text: string, click: () => void) => this.button(key, text, click);
    const side = (title: string, stacks: readonly Stack[], deeds: readonly bigint[], confirmed: boolean, mine: boolean) => {
      const lines = this.deeds.lines(deeds, button, mine ? (id) => this.offerDeeds(trade, trade.myDeeds.filter((other) => other !== id)) : undefined);
      const takeBack = (stack: Some) => () => this.offer(trade, { ...stack, count: 0 });
      const tiles = stacks.map((stack) => this.tile(`${mine ? "mine" : "theirs"}${keyOf(stack)}`, stack, mine ? takeBack(stack) : undefined));
      const box = h("div", { className: "tiles" }, ...(tiles.length + lines.length > 0 ? [...tiles, ...lines] : [h("small", {}, "nothing yet")]));
      return h("section", { className: `${confirmed ? "confirmed" : ""} ${fresh && !mine ? "fresh" : ""}` }, h("h3", {}, title), box, h("small", {}, confirmed ? "✓ confirmed" : "not confirmed"));
    };
    const nothing = [trade.mine, trade.theirs, trade.myDeeds, trade.theirDeeds].every((list) => list.length === 0);
    const confirm = this.button("confirm", trade.confirmed ? "Waiting …" : "Confirm", () => this.confirm(trade), "good");
    off(confirm, trade.confirmed || nothing || fresh);
    const full = trade.mine.length >= (this.world.description?.offerStacksMax ?? 0);
    const add = (some: Some) => this.offer(trade, { ...some, count: amount(some, trade.mine) + some.count });
    return [
      this.head(`Trade with ${name}`, true),
      h("div", { className: "table" }, side("You offer", trade.mine, trade.myDeeds, trade.confirmed, true), side(`${name} offers`, trade.theirs, trade.theirDeeds, trade.theyConfirmed, false)),
      h("div", { className: "two" }, confirm, this.leaveButton(trade)),
      h("h3", {}, "Add from your bag"),
      ...(full && !(this.picked && trade.mine.some((stack) => isSame(stack, this.picked))) ? [h("p", {}, "More does not fit on the table.")] : []),
      ...this.picker("Offer", add),
      ...this.deeds.offers(trade, button, (id) => this.offerDeeds(trade, [...trade.myDeeds, id])),
    ];
  }

  private leaveButton(trade: Trade): HTMLElement {
    const alone = this.stuck;
    const refused = (code: string) => (this.stuck = code !== "no_trade");
    const leave = () => this.wishes.act("leave the trade", { case: "leaveTrade", value: { trade: trade.id, alone } }, () => (this.stuck = false), refused);
    return this.button("leave", alone ? "Take my things back" : trade.askedMe && trade.mine.length === 0 ? "No, thanks" : "Leave", leave);
  }

  /** Offers this instead of what is offered of it. */
  private offer(trade: Trade, some: Some): void {
    const rest = trade.mine.filter((stack) => !isSame(stack, some));
    const at = trade.mine.findIndex((stack) => isSame(stack, some));
    const stacks: Some[] = [...rest];
    if (some.count > 0) stacks.splice(at < 0 ? rest.length : at, 0, some);
    const what = some.count > 0 ? `offer ${this.words(some)}` : `take back ${this.world.itemName(some.item)}`;
    this.wishes.act(what, { case: "offer", value: { trade: trade.id, stacks, deeds: trade.myDeeds } }, () => (this.picked = undefined), (code) => this.onRefused(trade, code));
  }

  /** Offers these estates, and the same things. */
  private offerDeeds(trade: Trade, deeds: bigint[]): void {
    this.wishes.act("change what estates you offer", { case: "offer", value: { trade: trade.id, stacks: trade.mine, deeds } }, undefined, (code) => this.onRefused(trade, code));
  }

  /** Confirms the version that is shown. */
  private confirm(trade: Trade): void {
    const name = trade.with?.name ?? "";
    const done = (reply: PlayerReply) => {
      if (reply.gained.length > 0 || reply.spent.length > 0) this.wishes.toast(`You and ${name} have traded.`);
    };
    this.wishes.act(`confirm the trade with ${name}`, { case: "confirm", value: { trade: trade.id, version: trade.version } }, done, (code) => this.onRefused(trade, code));
  }

  /** Who finds the other one gone leaves too, and has its things back. */
  private onRefused(trade: Trade, code: string): void {
    if (code === "trade_over") this.wishes.act("leave the trade", { case: "leaveTrade", value: { trade: trade.id } });
  }

  private onTold(told: PlayerTold): void {
    const { name } = told;
    const gift = told.gift ? this.words(told.gift) : "something";
    const words: Partial<Record<News, string>> = {
      [News.GIFT]: `${name} gave you ${gift}.`,
      [News.FRIEND_ASKED]: `${name} would like to be friends.`,
      [News.FRIEND_MADE]: `You and ${name} are friends now.`,
      [News.TRADE_BEGUN]: `${name} would like to trade.`,
      [News.TRADE_DONE]: `You and ${name} have traded.`,
      [News.COMPENSATED]: `You were given ${gift}: ${told.text}`,
      [News.TRADE_ENDED]: "Your trade was ended for you. Your things are back.",
      [News.TRADE_LEFT]: `${name} has left the trade. Your things are back.`,
      [News.GUILD_INVITED]: `${name} invites you into the guild ${told.guild}.`,
      [News.GUILD_JOINED]: `${name} is in ${told.guild} now.`,
      [News.GUILD_REMOVED]: `${name} has removed you from ${told.guild}.`,
      [News.GUILD_ROLE]: `${name} has given you another role in ${told.guild}.`,
      [News.RENAMED]: `${told.text} is called ${name} now.`,
      [News.GUILD_RENAMED]: `Your guild is called ${told.guild} now.`,
      [News.GUILD_DISSOLVED]: `${name} has dissolved ${told.guild}.`,
    };
    const text = words[told.news];
    if (text) this.wishes.toast(text);
  }

  // ---- pieces ------------------------------------------------------------------------------------------------------

  private head(title: string, deeper = false): HTMLElement {
    const close = this.button("close", "×", () => this.close(), "corner");
    close.ariaLabel = "Close";
    const back = this.button("back", "‹", () => this.back(), "corner");
    back.ariaLabel = "Back to the list";
    return h("header", {}, ...(deeper ? [back] : []), h("h2", { tabIndex: -1 }, title), close);
  }

  private button(key: string, text: string, click: () => void, className = ""): HTMLButtonElement {
    const button = h("button", { type: "button", className }, text);
    button.dataset.key = key;
    button.onclick = click;
    return button;
  }
}

/** A button that does nothing for now. It keeps the focus, so that the keyboard does not lose its place. */
function off(button: HTMLButtonElement, isOff: boolean): HTMLButtonElement {
  button.ariaDisabled = String(isOff);
  if (isOff) button.onclick = null;
  return button;
}

/** The name of a guild beside a member's. */
function badge(guild: string): Part[] {
  return guild ? [h("em", { className: "tag" }, guild)] : [];
}

function has(list: readonly Person[], id: bigint): boolean {
  return list.some((person) => person.id === id);
}
