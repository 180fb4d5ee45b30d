/** The panel of mail: letters that have come, reading one, taking what is in it, sending it back, and writing. */
import { fromBinary } from "@bufbuild/protobuf";
import { MailboxPublicSchema, News, type Letter, type Person, type PlayerReply, type PlayerTold, type Stack } from "./gen/pioneer_pb.js";
import { h } from "./dom.js";
import { off, Panel, type PanelWishes, type Part } from "./panel.js";
import { amount, isSame, keyOf, type Some } from "./things.js";
import type { World } from "./world.js";

/** Kind of mailboxes, as the game numbers it. A mailbox has its player's id. */
const KIND_MAILBOX = 60;
const HOUR_MS = 3_600_000;

type View = { kind: "list" } | { kind: "letter"; number: number } | { kind: "write"; to: Person | undefined };

/** See the top of the file. */
export class Mail extends Panel {
  private view: View = { kind: "list" };
  private letters: readonly Letter[] = [];
  /** Texts that were read. */
  private readonly texts = new Map<number, string>();
  // What one writes: the same elements as long as the letter is not sent.
  private readonly name = h("input", { maxLength: 32, placeholder: "Name", ariaLabel: "Name of the receiver", autocomplete: "off", spellcheck: false });
  private readonly text = h("textarea", { rows: 4, placeholder: "What would you like to say?", ariaLabel: "The letter" });
  private goods: Some[] = [];
  private picked: Some | undefined;
  private sending = false;

  constructor(world: World, wishes: PanelWishes) {
    super("mail", world, wishes, document.getElementById("mailbutton") as HTMLButtonElement);
    const { client } = world;
    client.on("welcome", () => client.me && client.watch(KIND_MAILBOX, client.me.id));
    client.on("watched", ({ kind, id, public: bytes }) => {
      if (kind !== KIND_MAILBOX || id !== client.me?.id) return;
      this.letters = bytes ? fromBinary(MailboxPublicSchema, bytes).letters : [];
      this.showCount();
    });
    world.on("told", (told) => this.onTold(told));
  }

  override toggle(): void {
    if (this.isOpen) return this.close();
    this.view = { kind: "list" };
    this.turn();
  }

  /** Opens it with a letter to somebody. */
  write(to: Person): void {
    this.go({ kind: "write", to });
  }

  protected override goBack(): boolean {
    if (this.view.kind === "list") return false;
    this.go({ kind: "list" });
    return true;
  }

  protected override state(): unknown {
    const { own, client } = this.world;
    return [this.view, this.letters, [...this.texts], own.slots, own.friends, this.goods, this.picked, this.sending, Math.floor(client.worldMs / HOUR_MS)];
  }

  protected override parts(): Part[] {
    if (this.view.kind === "write") return this.writing(this.view.to);
    if (this.view.kind === "list") return this.overview();
    const { number } = this.view;
    const letter = this.letters.find((one) => one.number === number);
    return letter ? this.reading(letter) : [this.head("Mail", true), h("p", {}, "This letter is not here any more.")];
  }

  private go(view: View): void {
    this.view = view;
    this.picked = undefined;
    this.turn();
  }

  private showCount(): void {
    const button = document.getElementById("mailbutton");
    const count = button?.querySelector("b");
    if (!button || !count) return;
    const unread = this.letters.filter((letter) => !letter.read).length;
    button.hidden = false;
    count.hidden = unread === 0;
    count.textContent = String(unread);
    button.ariaLabel = unread === 0 ? "Mail" : `Mail: ${unread} unread`;
  }

  private onTold({ news, name }: PlayerTold): void {
    if (news === News.LETTER) this.wishes.toast(`${name} has sent you a letter.`);
    if (news === News.LETTER_BACK) this.wishes.toast(`Your letter to ${name} came back.`);
  }

  // ---- letters that have come --------------------------------------------------------------------------------------

  private overview(): Part[] {
    const write = this.button("write", "Write a letter", () => this.go({ kind: "write", to: undefined }), "good");
    const rows = [...this.letters].reverse().map((letter) => this.row(letter));
    const most = this.world.description?.lettersMax ?? 0;
    const words = rows.length === 0 ? "No letters. One can write to you while you are away." : rows.length < most ? `${rows.length} of ${most}` : "Your mailbox is full: nothing more comes in.";
    return [this.head("Mail"), write, ...rows, h("p", {}, words)];
  }

  private row(letter: Letter): HTMLElement {
    const row = this.button(`letter${letter.number}`, "", () => this.open(letter), letter.read ? "row" : "row unread");
    const goods = letter.stacks.length > 0 ? this.list(letter.stacks) : "";
    const words = [letter.back ? "came back" : "", goods].filter((word) => word).join(" · ");
    row.replaceChildren(h("span", {}, letter.back ? `To ${nameOf(letter.to)}` : nameOf(letter.from), h("small", {}, words || "a few words")), h("i", { ariaHidden: "true" }, "›"));
    if (!letter.read) row.ariaLabel = `unread letter of ${nameOf(letter.from)}`;
    return row;
  }

  private open(letter: Letter): void {
    const { number } = letter;
    this.go({ kind: "letter", number });
    if (this.texts.has(number) && letter.read) return;
    this.wishes.act("read the letter", { case: "readLetter", value: { letter: number } }, ({ text }) => {
      this.texts.set(number, text);
      this.draw();
    });
  }

  private reading(letter: Letter): Part[] {
    const { number, stacks, back } = letter;
    const who = back ? letter.to : letter.from;
    const parts: Part[] = [this.head(back ? `To ${nameOf(who)}` : nameOf(who), true)];
    if (back) parts.push(h("p", {}, "This letter of yours came back."));
    const text = this.texts.get(number);
    if (text === undefined) parts.push(h("p", {}, "One moment …"));
    else if (text) parts.push(h("blockquote", {}, text));
    if (stacks.length > 0) {
      parts.push(h("div", { className: "tiles" }, ...stacks.map((stack) => this.tile(`in${keyOf(stack)}`, stack.item, stack.count, undefined, false, stack.id))));
      const done = () => this.wishes.toast(`You took ${this.list(stacks)}.`);
      parts.push(this.button("take", stacks.length > 1 ? "Take all of it" : `Take ${this.list(stacks)}`, () => this.wishes.act(`take ${this.list(stacks)}`, { case: "takeFromLetter", value: { letter: number } }, done), "good"));
    }
    // The island itself gets no answers.
    if (!back && who?.id) parts.push(this.button("answer", "Answer", () => this.go({ kind: "write", to: who })));
    const list = () => this.go({ kind: "list" });
    if (!back && who?.id) parts.push(this.button("return", "Send it back", () => this.wishes.act("send the letter back", { case: "returnLetter", value: { letter: number } }, list), "quiet"));
    if (stacks.length === 0) parts.push(this.button("delete", "Throw it away", () => this.wishes.act("throw the letter away", { case: "deleteLetter", value: { letter: number } }, list), "quiet"));
    if (letter.until > 0n) parts.push(h("p", {}, this.fate(letter)));
    return parts;
  }

  private fate({ until, stacks }: Letter): string {
    const hours = Math.max(0, Math.ceil((Number(until) - this.world.client.worldMs) / HOUR_MS));
    const when = hours > 48 ? `in ${Math.floor(hours / 24)} days` : hours > 1 ? `in ${hours} hours` : "within an hour";
    return stacks.length > 0 ? `It goes back ${when}.` : `It is thrown away ${when}.`;
  }

  // ---- writing -----------------------------------------------------------------------------------------------------

  private writing(to: Person | undefined): Part[] {
    const { description, own } = this.world;
    this.text.maxLength = description?.letterCharsMax ?? 200;
    const friends = h("datalist", { id: "friendnames" }, ...own.friends.map(({ name }) => h("option", { value: name })));
    this.name.setAttribute("list", "friendnames");
    const receiver: Part[] = to ? [h("p", {}, `To ${to.name}`)] : [this.name, friends];
    const inside = this.goods.map((some, k) => this.tile(`out${keyOf(some)}`, some.item, some.count, () => this.setGoods(this.goods.filter((_, other) => other !== k)), false, some.id));
    const parts: Part[] = [this.head("A letter", true), ...receiver, this.text];
    if (inside.length > 0) parts.push(h("h3", {}, "In the letter"), h("div", { className: "tiles" }, ...inside));
    const send = this.button("send", this.goods.length > 0 ? `Send it with ${this.goods.map((some) => this.words(some)).join(", ")}` : "Send it", () => this.send(to), "good");
    parts.push(off(send, this.sending), h("h3", {}, "Put something in"));
    if (this.goods.length >= (description?.letterStacksMax ?? 0)) return [...parts, h("p", {}, "More does not fit in.")];
    parts.push(this.bagTiles("pick", this.picked, (some) => this.pick(some), this.goods));
    const { picked } = this;
    const most = picked ? amount(picked, this.world.own.slots) : 0;
    if (!picked || most === 0 || this.goods.some((some) => isSame(some, picked))) return parts;
    const some = { ...picked, count: Math.min(picked.count, most) };
    if (!picked.id) parts.push(this.stepper("pickcount", "how much", some.count, most, (count) => this.pick({ ...picked, count })));
    parts.push(this.button("putin", `Put in ${this.words(some)}`, () => this.setGoods([...this.goods, some])));
    return parts;
  }

  private pick(picked: Some): void {
    this.picked = picked;
    this.draw();
  }

  private setGoods(goods: Some[]): void {
    this.goods = goods;
    this.picked = undefined;
    this.draw();
  }

  private send(to: Person | undefined): void {
    const name = this.name.value.trim();
    const text = this.text.value.replace(/\s+/g, " ").trim();
    if (!to && !name) return this.name.focus();
    if (!text && this.goods.length === 0) return this.text.focus();
    this.sending = true;
    const whom = to?.name ?? name;
    const done = (reply: PlayerReply) => {
      this.sending = false;
      this.text.value = this.name.value = "";
      this.goods = [];
      // Somebody who was found by an old name has another one now.
      this.wishes.toast(`Your letter to ${reply.name || whom} is sent.`);
      if (this.isOpen && this.view.kind === "write") this.go({ kind: "list" });
    };
    const refused = () => {
      this.sending = false;
      this.draw();
    };
    const stacks = this.goods as Stack[];
    this.wishes.act(`send ${whom} a letter`, { case: "sendLetter", value: { to: to ? [to.id] : [], name: to ? "" : name, text, stacks } }, done, refused);
    this.draw();
  }
}

function nameOf(person: Person | undefined): string {
  return person?.name ?? "somebody";
}
