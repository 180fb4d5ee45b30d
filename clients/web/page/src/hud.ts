/** Everything around the picture: state, bag, panels, toasts, dialogs. Plain DOM; text is never read as HTML. */
import type { ConnectionState, Entry, Standing } from "@gundo/client";
import { buildingSprite } from "./buildings.js";
import type { Changes } from "./changes.js";
import { drawItem } from "./folk.js";
import { Building, Item, type Stack } from "./gen/pioneer_pb.js";
import { cardFor } from "./doors.js";
import { h, redraw, type Child } from "./dom.js";
import { keyLabel, onLayout } from "./keyboard.js";
import { Talk } from "./talk.js";
import { wordsOf } from "./things.js";
import type { World } from "./world.js";
import type { XRay } from "./xray.js";

const TOAST_MS = 3_200;
const TOASTS_MAX = 4;
/** Lines of the offer to do again what expired. */
const AGAIN_SHOWN_MAX = 5;

/** Requests that the player makes through buttons. */
export interface Wishes {
  craft(recipe: number): void;
  choose(building: Building | undefined): void;
  demolish(): void;
  hold(item: Item): void;
  join(name: string, invitation: string): void;
  /** Comes back with the code that was written down. */
  recover(code: string): void;
  /** The code to write down; empty: there is none. */
  code(): string;
  /** Does what was asked for while the connection was down, or leaves it. */
  doNow(): void;
  leaveIt(): void;
  /** The invitation that somebody came by; empty: none. */
  invitation(): string;
  /** What a name must be, and who may come in. */
  entry(): Promise<Entry>;
  /** False: not now, and the text stays. */
  say(text: string): boolean;
  /** What the button of a card about the connection does. */
  help(how: Standing["help"]): void;
}

function byId<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element as T;
}

const icons = new Map<string, string>();

/** A small picture, drawn once. */
export function icon(name: string, draw: (c: CanvasRenderingContext2D) => void): string {
  let url = icons.get(name);
  if (!url) {
    const canvas = h("canvas", { width: 96, height: 96 });
    const c = canvas.getContext("2d");
    if (c) draw(c);
    icons.set(name, (url = canvas.toDataURL()));
  }
  return url;
}

/** The picture of an item. */
export const itemIcon = (item: Item) => icon(`i${item}`, (c) => drawItem(c, item, 48, 48, 92));
const buildingIcon = (what: Building) =>
  icon(`b${what}`, (c) => {
    const { canvas } = buildingSprite(what, 0);
    const k = 92 / Math.max(canvas.width, canvas.height);
    c.drawImage(canvas, 48 - (canvas.width * k) / 2, 48 - (canvas.height * k) / 2, canvas.width * k, canvas.height * k);
  });

/** Refusals of people without a good invitation. */
const INVITING = ["invitation_needed", "bad_invitation"];
/** Who may come in, as the server says it. */
const INVITED = 1;
const CLOSED = 2;

/** What a node does when it is overloaded, by level. */
const OVERLOAD = ["none", "1: far is slower", "2: middle is slower", "3: all is slower", "4: and nobody new"];
/** The keys that the page lists, and what they do. */
const KEYS: [string[], string][] = [
  [["KeyW", "KeyA", "KeyS", "KeyD"], "walk"],
  [["KeyE"], "gather"],
  [["KeyB"], "build"],
  [["KeyC"], "craft"],
  [["KeyP"], "people"],
  [["KeyG"], "guild"],
  [["KeyN"], "land"],
  [["KeyL"], "mail"],
  [["KeyT"], "stall"],
  [["Enter"], "chat"],
  [["KeyM"], "map"],
  [["KeyX"], "x-ray"],
];

/** See the top of the file. */
export class Hud {
  readonly chat = byId<HTMLFormElement>("chat");
  readonly chatInput: HTMLInputElement;
  readonly talk = new Talk();
  /** Which panel is open. */
  panel: "craft" | "build" | undefined;
  private readonly status = byId("status");
  private readonly wayBack = byId<HTMLButtonElement>("wayback");
  private readonly cover = byId("cover");
  private readonly card = byId<HTMLFormElement>("card");
  private readonly hintBox = byId("hint");
  /** The name that was typed last: it stays while an invitation is typed. */
  private chosenName = "";
  private chosen: Building | undefined;
  private hintText = "";
  /** What the dialog is about; undefined: there is none. */
  private asks: string | undefined;
  /** The dialog is about the connection, and closes by itself. */
  private stateCard = false;
  /** What had the focus before the dialog. */
  private before: HTMLElement | null = null;

  constructor(
    private readonly world: World,
    private readonly wishes: Wishes,
  ) {
    this.chatInput = this.chat.querySelector("input") as HTMLInputElement;
    this.chat.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.chatInput.value.trim();
      if (!text || wishes.say(text)) this.closeChat();
    });
    this.showKeys();
    onLayout(() => {
      this.showKeys();
      this.refresh();
    });
    this.followKeyboard();
    this.wayBack.onclick = () => this.showCode();
    world.on("own", () => this.refresh());
    this.refresh();
  }

  private showKeys(): void {
    byId("keys").replaceChildren(...KEYS.map(([codes, what]) => h("div", {}, ...codes.map((code) => h("kbd", {}, keyLabel(code))), what)));
  }

  /** Above the keyboard of a phone there is room for the chat line: the page does not get smaller by itself everywhere. */
  private followKeyboard(): void {
    const seen = window.visualViewport;
    if (!seen) return;
    const fit = () => document.documentElement.style.setProperty("--keyboard", `${Math.max(0, Math.round(window.innerHeight - seen.height - seen.offsetTop))}px`);
    seen.addEventListener("resize", fit);
    seen.addEventListener("scroll", fit);
  }

  // ---- connection ------------------------------------------------------------------------------------------------

  /** The state of the connection has changed. */
  onState(state: ConnectionState): void {
    if (state.kind === "name_needed" && state.refusal?.code === "bad_code") this.askCode(state.refusal.text);
    else if (state.kind === "name_needed") this.askName(state.refusal);
    // A code that somebody is writing down stays, whatever the connection does.
    else if (state.kind === "connected" && this.asks !== "code kept") this.closeCard();
  }

  /** Shows how the connection is. Call it a few times a second. `text`: in a few words. */
  showConnection(state: ConnectionState, text: string, standing: Standing): void {
    const span = this.status.querySelector("span");
    if (span && span.textContent !== text) span.textContent = text;
    this.wayBack.hidden = state.kind !== "connected" || this.wishes.code() === "";
    this.status.className = text === "Connected" ? "good" : state.kind === "ended" ? "bad" : state.kind === "connecting" ? "wait" : "";
    document.body.classList.toggle("dim", standing.isOld);
    const card = cardFor(standing);
    if (card && this.asks !== card.title) {
      this.card.onsubmit = (event) => {
        event.preventDefault();
        this.wishes.help(standing.help);
      };
      const button = h("button", {}, card.button);
      this.showCard(card.title, card.words, [button], button);
    } else if (!card && this.stateCard) {
      this.closeCard();
    }
    this.stateCard = card !== undefined;
  }

  private askName(refusal: { readonly code: string; readonly text: string } | undefined): void {
    const { description } = this.world;
    const input = h("input", { maxLength: description?.nameCharsMax ?? 24, placeholder: "Your name", ariaLabel: "Your name", autocomplete: "off", spellcheck: false, id: "name" });
    const invitation = h("input", { maxLength: 64, placeholder: "Your invitation", ariaLabel: "Your invitation", autocomplete: "off", spellcheck: false, id: "invitation", value: this.wishes.invitation() });
    invitation.hidden = !(refusal && INVITING.includes(refusal.code));
    const button = h("button", {}, "Step ashore");
    this.card.onsubmit = (event) => {
      event.preventDefault();
      const name = input.value.trim();
      if (!name) return;
      button.disabled = true;
      this.chosenName = name;
      this.wishes.join(name, invitation.value.trim());
    };
    const rules = h("p", { className: "rules" });
    const why = h("div", { className: "why", role: "alert" }, refusal?.text ?? "");
    const back = h("button", { type: "button", className: "link", id: "havecode" }, "I was here before, and have a code");
    back.onclick = () => this.askCode(undefined);
    this.showCard("Pioneer", "An island for everyone. What shall people call you?", [input, invitation, rules, why, button, back], input);
    if (!invitation.hidden) input.value = this.chosenName;
    void this.wishes.entry().then(({ names, newcomers }) => {
      rules.textContent = names?.text ?? "";
      if (newcomers === INVITED) invitation.hidden = false;
      if (newcomers === CLOSED) why.textContent ||= "This island takes nobody new just now. People who were here before may come back.";
    });
  }

  private askCode(why: string | undefined): void {
    const input = h("input", { maxLength: 64, placeholder: "K7Q2M-9XW4T-…", ariaLabel: "Your code", autocomplete: "off", spellcheck: false, id: "code" });
    const button = h("button", {}, "Come back");
    const other = h("button", { type: "button", className: "link" }, "I am new here");
    other.onclick = () => this.askName(undefined);
    this.card.onsubmit = (event) => {
      event.preventDefault();
      const code = input.value.trim();
      if (!code) return;
      button.disabled = true;
      this.wishes.recover(code);
    };
    const words = "Type the code that you have written down. Capitals and hyphens do not matter.";
    this.showCard("Welcome back", words, [input, h("div", { className: "why", role: "alert" }, why ?? ""), button, other], input);
  }

  /** Shows the code to write down. */
  private showCode(): void {
    const code = this.wishes.code();
    if (!code) return this.toast("There is no code for you just now.", true);
    this.card.onsubmit = (event) => {
      event.preventDefault();
      this.closeCard();
    };
    const words = "Write this code down. It brings you back here from any browser, once, and you get a new one then. Anybody who has it can play as you.";
    const button = h("button", {}, "I have it");
    this.showCard("Your way back", words, [h("output", { className: "code" }, code), button], button);
    this.asks = "code kept";
  }

  /** Shows a dialog; what is behind it does nothing until it is closed. */
  private showCard(title: string, words: string, parts: readonly Child[], first: HTMLElement): void {
    this.card.replaceChildren(h("h1", { id: "cardtitle" }, title), h("p", { id: "cardwords" }, words), ...parts);
    if (this.cover.hidden) this.before = document.activeElement as HTMLElement | null;
    this.asks = title;
    this.stateCard = false;
    this.cover.hidden = false;
    byId("hud").inert = true;
    first.focus();
  }

  private closeCard(): void {
    if (this.cover.hidden) return;
    this.cover.hidden = true;
    this.asks = undefined;
    this.stateCard = false;
    byId("hud").inert = false;
    this.before?.focus();
    this.before = null;
  }

  // ---- toasts and hints --------------------------------------------------------------------------------------------

  /** A short message. `no`: it says that something did not work. */
  toast(text: string, no = false): void {
    const box = byId("toasts");
    const last = box.lastElementChild;
    if (last?.textContent === text) last.remove();
    const toast = h("div", { className: no ? "no" : "" }, text);
    box.append(toast);
    while (box.childElementCount > TOASTS_MAX) box.firstElementChild?.remove();
    setTimeout(() => (toast.style.opacity = "0"), TOAST_MS);
    setTimeout(() => toast.remove(), TOAST_MS + 450);
  }

  /** Offers what was asked for while the connection was down; an empty list: nothing. */
  showAgain(whats: readonly string[]): void {
    const box = byId("again");
    box.hidden = whats.length === 0;
    if (whats.length === 0) return;
    const more = whats.length - AGAIN_SHOWN_MAX;
    const list = whats.slice(0, AGAIN_SHOWN_MAX).map((what) => h("li", {}, what));
    if (more > 0) list.push(h("li", {}, `and ${more} more`));
    const now = h("button", { id: "donow" }, "Do it now");
    now.onclick = () => this.wishes.doNow();
    const leave = h("button", { className: "link" }, "Leave it");
    leave.onclick = () => this.wishes.leaveIt();
    box.replaceChildren(h("p", {}, "The connection was down for a while. This was not done:"), h("ul", {}, ...list), now, leave);
  }

  /** What the gather key would do; empty: nothing. */
  hint(key: string, text: string): void {
    if (text === this.hintText) return;
    this.hintText = text;
    this.hintBox.classList.toggle("on", text !== "");
    if (text) this.hintBox.replaceChildren(h("kbd", {}, keyLabel(key)), text);
  }

  // ---- bag and panels ------------------------------------------------------------------------------------------------

  /** Opens a panel, or closes it if it is open. */
  toggle(panel: "craft" | "build"): void {
    this.panel = this.panel === panel ? undefined : panel;
    if (this.panel !== "build") this.choose(undefined);
    this.refresh();
  }

  /** Closes the open panel. */
  closePanel(): void {
    if (this.panel) this.toggle(this.panel);
  }

  /** Chooses what to build. */
  choose(building: Building | undefined): void {
    this.chosen = building;
    this.wishes.choose(building);
    this.refresh();
  }

  private refresh(): void {
    const { own, description } = this.world;
    const slots = description?.slotsMax ?? 0;
    redraw(
      byId("bag"),
      Array.from({ length: Math.max(slots, own.slots.length) }, (_, k) => {
        const stack = own.slots[k];
        if (!stack) return h("i", {}, ...(k === 0 ? [h("small", {}, "Your bag is empty")] : []));
        const name = this.world.itemName(stack.item);
        const held = own.holds === stack.item;
        const button = h("button", { title: `${wordsOf(name, stack)}${held ? " (in your hand)" : ""}`, className: held ? "held" : "" }, h("img", { src: itemIcon(stack.item), alt: name }), h("b", {}, String(stack.count)));
        button.dataset.key = `bag${k}`;
        button.ariaPressed = String(held);
        button.onclick = () => this.wishes.hold(held ? Item.NONE : stack.item);
        return button;
      }),
    );
    const panel = byId("panel");
    // On a touch screen fingers need the room to place the chosen building.
    const covers = this.chosen !== undefined && matchMedia("(pointer: coarse)").matches;
    if (panel.contains(document.activeElement) && this.panel === undefined) (document.activeElement as HTMLElement).blur();
    panel.hidden = this.panel === undefined || covers;
    byId("hud").classList.toggle("building", this.chosen !== undefined);
    panel.ariaLabel = this.panel === "craft" ? "Craft" : "Build";
    if (this.panel === "craft") redraw(panel, this.craftPanel());
    else if (this.panel === "build") redraw(panel, this.buildPanel());
  }

  private craftPanel(): Child[] {
    const recipes = this.world.description?.recipes ?? [];
    const rows = recipes.map((recipe) => {
      const gives = recipe.gives[0];
      const row = h("button", { className: this.has(recipe.takes) ? "" : "lacking" }, h("img", { src: itemIcon(gives?.item ?? Item.NONE), alt: "" }), h("span", {}, recipe.name, this.costs(recipe.takes)));
      row.dataset.key = `recipe${recipe.recipe}`;
      row.onclick = () => this.wishes.craft(recipe.recipe);
      return row;
    });
    return [this.panelHead("Craft"), ...rows];
  }

  private buildPanel(): Child[] {
    const rows = (this.world.description?.buildings ?? []).map((info, k) => {
      const chosen = this.chosen === info.building;
      const row = h("button", { className: `${this.has(info.costs) ? "" : "lacking"} ${chosen ? "chosen" : ""}` }, h("img", { src: buildingIcon(info.building), alt: "" }), h("span", {}, info.name, this.costs(info.costs)), h("kbd", {}, String(k + 1)));
      row.dataset.key = `building${info.building}`;
      row.ariaPressed = String(chosen);
      row.onclick = () => this.choose(chosen ? undefined : info.building);
      return row;
    });
    const demolish = h("button", {}, h("span", {}, "Take down", h("small", {}, "your building next to you")), h("kbd", {}, keyLabel("KeyV")));
    demolish.dataset.key = "demolish";
    demolish.onclick = () => this.wishes.demolish();
    return [this.panelHead("Build"), ...rows, demolish, h("p", {}, h("kbd", {}, keyLabel("KeyR")), "turns, a click builds, ", h("kbd", {}, "Esc"), "ends")];
  }

  private panelHead(title: string): HTMLElement {
    const close = h("button", { className: "corner", ariaLabel: "Close" }, "×");
    close.dataset.key = "close";
    close.onclick = () => this.closePanel();
    return h("header", {}, h("h2", { tabIndex: -1 }, title), close);
  }

  private has(stacks: readonly Stack[]): boolean {
    return stacks.every((stack) => this.world.count(stack.item) >= stack.count);
  }

  private costs(stacks: readonly Stack[]): Node {
    const parts = stacks.flatMap((stack, k) => {
      const have = this.world.count(stack.item);
      const text = `${stack.count} ${this.world.itemName(stack.item)}`;
      const part = have >= stack.count ? text : h("em", {}, `${text} (${have})`);
      return k === 0 ? [part] : [", ", part];
    });
    return h("small", {}, ...parts);
  }

  // ---- chat ---------------------------------------------------------------------------------------------------------

  /** Opens the chat line. */
  openChat(text = ""): void {
    this.chat.hidden = false;
    this.chatInput.value = text;
    this.chatInput.maxLength = this.world.description?.sayCharsMax ?? 200;
    this.chatInput.focus();
    this.talk.open(true);
  }

  /** Closes it. */
  closeChat(): void {
    this.chatInput.blur();
    this.chat.hidden = true;
    this.talk.open(false);
  }

  // ---- x-ray -----------------------------------------------------------------------------------------------------------

  /** Fills the x-ray panel. */
  showXRay(xray: XRay, changes: Changes, rates: { bytes: number; updates: number; fps: number; ownGapMs: number }): void {
    const box = byId("xray");
    box.hidden = !xray.on;
    if (!xray.on) return;
    const { client } = this.world;
    const { stats } = xray;
    const rows: [string, string][] = [
      ["round trip", client.clock.rttMs === undefined ? "–" : `${client.clock.rttMs.toFixed(1)} ms`],
      ["longest tick (1 s)", stats ? `${(stats.tickUs / 1_000).toFixed(2)} ms` : "–"],
      ["received", `${(rates.bytes / 1_024).toFixed(1)} KiB/s`],
      ["body updates", `${rates.updates.toFixed(0)} /s`],
      ["reals / ghosts here", stats ? `${stats.reals} / ${stats.ghosts}` : "–"],
      ["sessions / chunks", stats ? `${stats.sessions} / ${stats.chunks}` : "–"],
      ["inbox", stats ? String(stats.inbox) : "–"],
      ["overload", stats ? (OVERLOAD[stats.overload] ?? String(stats.overload)) : "–"],
      ["frames late", `${client.lateMs.toFixed(0)} ms`],
      ["own-move gap", `${rates.ownGapMs.toFixed(0)} ms`],
      ["roster gaps", String(client.picture.gaps)],
      ["pictures", `${rates.fps.toFixed(0)} /s`],
    ];
    const own = client.ownEntity?.publisher;
    const edge = client.state.kind === "connected" ? client.state.node : undefined;
    const publishers = [...client.picture.entities.values()].map((entity) => entity.publisher);
    const nodes = [...new Set([...changes.nodes, ...publishers])].sort((a, b) => a - b);
    const parts = (node: number) => [edge === node && "edge", own === node && "you", !changes.nodes.includes(node) && "going"].filter((part) => part);
    const title = edge !== undefined ? `X-ray · node ${edge}` : client.state.kind === "connecting" ? `X-ray · → node ${client.state.node ?? "?"} …` : "X-ray";
    box.replaceChildren(
      h("h2", {}, title),
      h("dl", {}, ...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
      h("p", {}, ...nodes.map((node) => h("span", {}, swatch(xray.colour(node)), `node ${node}`, parts(node).length > 0 ? ` (${parts(node).join(", ")})` : ""))),
      ...(changes.lines.length > 0 ? [h("ol", {}, ...changes.lines.map(({ text }) => h("li", {}, text)))] : []),
      h("p", {}, "filled: real here · dashed: ghost here"),
    );
  }
}

function swatch(colour: string): HTMLElement {
  const mark = h("i");
  mark.style.background = colour;
  return mark;
}
