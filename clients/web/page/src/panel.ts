/**
 * A panel at the side: what mail and stalls have in common. Plain DOM; text is never read as HTML. It draws itself again only when
 * what it shows has changed, and keeps the focus where it was.
 */
import type { Item, PlayerReply, Stack } from "./gen/pioneer_pb.js";
import { h, redraw } from "./dom.js";
import { itemIcon } from "./hud.js";
import { isSame, keyOf, sorts, wordsOf, type Some } from "./things.js";
import type { PlayerWish, World } from "./world.js";

/** What a panel asks the page to do. */
export interface PanelWishes {
  /** Sends a command; `what`: in words. */
  act(what: string, wish: PlayerWish, done?: (reply: PlayerReply) => void, refused?: (code: string) => void): void;
  toast(text: string, no?: boolean): void;
  /** Where the own body is, mm. */
  place(): { x: number; y: number };
  /** It was opened: others make room. */
  opened(): void;
}

export type Part = Node | string;
/** See the top of the file. */
export abstract class Panel {
  protected readonly box: HTMLElement;
  private drawn = "";

  constructor(
    id: string,
    protected readonly world: World,
    protected readonly wishes: PanelWishes,
    private readonly opener?: HTMLButtonElement,
  ) {
    this.box = document.getElementById(id) as HTMLElement;
    if (opener) opener.onclick = () => this.toggle();
  }

  /** Opens it, or closes it. */
  abstract toggle(): void;
  /** Everything that what it shows depends on. */
  protected abstract state(): unknown;
  protected abstract parts(): Part[];
  /** Goes back by one page. False: there is none before. */
  protected abstract goBack(): boolean;

  /** Whether it is open. */
  get isOpen(): boolean {
    return !this.box.hidden;
  }

  /** Goes back by one page, or closes it from the first. False: it was closed. */
  back(): boolean {
    if (!this.isOpen) return false;
    if (!this.goBack()) this.close();
    return true;
  }

  /** Closes it. */
  close(): void {
    if (!this.isOpen) return;
    if (this.box.contains(document.activeElement)) (this.opener ?? document.body).focus();
    this.box.hidden = true;
    this.opener?.setAttribute("aria-expanded", "false");
    document.getElementById("hud")?.classList.remove("people");
  }

  /** Draws what has changed. Call it a few times a second. */
  draw(): void {
    if (!this.isOpen) return;
    const drawn = JSON.stringify(this.state(), (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    redraw(this.box, this.parts());
  }

  /** Opens it, or shows another page of it. */
  protected turn(): void {
    if (!this.isOpen) {
      this.wishes.opened();
      this.box.hidden = false;
      this.opener?.setAttribute("aria-expanded", "true");
      document.getElementById("hud")?.classList.add("people");
    }
    this.drawn = "";
    this.draw();
    this.box.scrollTop = 0;
    this.box.querySelector<HTMLElement>("h2")?.focus();
  }

  // ---- pieces ------------------------------------------------------------------------------------------------------

  protected head(title: string, deeper = false): HTMLElement {
    const close = this.button("close", "×", () => this.close(), "corner");
    close.ariaLabel = "Close";
    const back = this.button("back", "‹", () => this.back(), "corner");
    back.ariaLabel = "Back";
    return h("header", {}, ...(deeper ? [back] : []), h("h2", { tabIndex: -1 }, title), close);
  }

  protected button(key: string, text: string, click: () => void, className = ""): HTMLButtonElement {
    const button = h("button", { type: "button", className }, text);
    button.dataset.key = key;
    button.onclick = click;
    return button;
  }

  protected words(some: Some): string {
    return wordsOf(this.world.itemName(some.item), some);
  }

  protected list(stacks: readonly Stack[]): string {
    return stacks.map((stack) => this.words(stack)).join(", ");
  }

  /** Without `click` it is only to be looked at. `count` undefined: just the item. */
  protected tile(key: string, item: Item, count: number | undefined, click?: () => void, chosen = false, id = 0n): HTMLButtonElement {
    const name = this.world.itemName(item);
    const tile = this.button(key, "", click ?? (() => undefined), chosen ? "tile chosen" : "tile");
    tile.replaceChildren(h("img", { src: itemIcon(item), alt: "" }), ...(count === undefined ? [] : [h("b", {}, String(count))]));
    tile.title = tile.ariaLabel = count === undefined ? name : wordsOf(name, { count, id });
    tile.disabled = !click;
    if (click) tile.ariaPressed = String(chosen);
    return tile;
  }

  /** Chooses a number from 1 to `most`. `all`: there are so many; otherwise that is just a limit. */
  protected stepper(key: string, label: string, count: number, most: number, set: (count: number) => void, all = true): HTMLElement {
    const step = (name: string, text: string, to: number, words: string) => {
      const button = this.button(`${key}${name}`, text, () => set(to));
      button.ariaLabel = `${label}: ${words}`;
      return off(button, to < 1 || to > most || to === count);
    };
    const last = all ? step("all", "all", most, "as many as there are") : step("ten", "+10", count + 10, "ten more");
    return h("div", { className: "stepper" }, step("less", "−", count - 1, "one less"), h("output", {}, String(count)), step("more", "+", count + 1, "one more"), last);
  }

  /** What the player carries, one tile for each item and each unique thing. */
  protected bagTiles(key: string, chosen: Some | undefined, choose: (some: Some) => void, without: readonly Some[] = []): HTMLElement {
    const all = sorts(this.world.own.slots).filter((some) => !without.some((other) => isSame(some, other)));
    if (all.length === 0) return h("p", {}, without.length > 0 ? "There is nothing else in your bag." : "Your bag is empty.");
    return h("div", { className: "tiles" }, ...all.map((some) => this.tile(`${key}${keyOf(some)}`, some.item, some.count, () => choose({ ...some, count: 1 }), isSame(chosen, some), some.id)));
  }
}

/** A button that does nothing for now. It keeps the focus, so that the keyboard does not lose its place. */
export function off(button: HTMLButtonElement, isOff: boolean): HTMLButtonElement {
  button.ariaDisabled = String(isOff);
  if (isOff) button.onclick = null;
  return button;
}
