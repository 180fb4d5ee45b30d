/** The pages of the panel of people on which one changes the own name, and a leader that of the guild. */
import { h } from "./dom.js";
import type { PeopleWishes } from "./people.js";
import type { World } from "./world.js";

const DAY_MS = 86_400_000;

type Part = Node | string;

/** What the panel lends them. */
interface Pieces {
  head(title: string, deeper: boolean): HTMLElement;
  button(key: string, text: string, click: () => void, className?: string): HTMLButtonElement;
  /** Goes back to the page before. */
  done(): void;
}

/** See the top of the file. */
export class Renaming {
  private readonly mine = input("newname", "Another name", "Your new name");
  private readonly guilds = input("newguildname", "Another name for it", "The new name of your guild");

  constructor(
    private readonly world: World,
    private readonly wishes: PeopleWishes,
    private readonly pieces: Pieces,
  ) {}

  /** What the page shows that changes with time, for the panel to know when. */
  get state(): unknown {
    return Math.floor(this.world.client.worldMs / 60_000);
  }

  /** The page about the own name. */
  page(): Part[] {
    const { own, description, client } = this.world;
    const every = Number(description?.renameEveryMs ?? 0);
    const left = own.renamedAt > 0n ? Number(own.renamedAt) + every - client.worldMs : 0;
    const act = (name: string) =>
      this.wishes.act(`take the name ${name}`, { case: "rename", value: { name } }, () => {
        this.mine.value = "";
        this.wishes.toast(`You are called ${name} now.`);
        this.pieces.done();
      });
    const parts: Part[] = [this.pieces.head("Your name", true), h("p", {}, `You are ${own.name}.`)];
    if (left > 0) parts.push(h("p", { className: "lacks" }, `You can change it again in ${span(left)}.`));
    else parts.push(this.form(this.mine, "rename", "Take this name", act), h("p", {}, `Everybody sees it at once. For ${span(Number(description?.nameKeptMs ?? 0))} the old one stays yours: nobody else can take it, letters to it arrive, and you can go back to it.`));
    if (own.oldNames.length > 0) parts.push(h("h3", {}, "Still yours"));
    for (const [at, { name, until }] of own.oldNames.entries()) {
      const words = `for ${span(Number(until) - client.worldMs)}`;
      const row = this.pieces.button(`old${at}`, "", () => this.choose(name, left > 0), "row");
      row.replaceChildren(h("span", {}, name, h("small", {}, words)));
      parts.push(row);
    }
    return parts;
  }

  /** The page about the name of the own guild. */
  guildPage(guild: bigint, name: string): Part[] {
    const { description } = this.world;
    const act = (name: string) =>
      this.wishes.act(`call the guild ${name}`, { case: "renameGuild", value: { guild, name } }, () => {
        this.guilds.value = "";
        this.wishes.toast(`Your guild is called ${name} now.`);
        this.pieces.done();
      });
    return [
      this.pieces.head("Its name", true),
      h("p", {}, `Your guild is called ${name}.`),
      this.form(this.guilds, "renameguild", "Take this name", act),
      h("p", {}, `Once in ${span(Number(description?.renameEveryMs ?? 0))}. Nobody else can take the old name for ${span(Number(description?.nameKeptMs ?? 0))}.`),
    ];
  }

  private choose(name: string, tooSoon: boolean): void {
    if (tooSoon) return;
    this.mine.value = name;
    this.mine.focus();
  }

  private form(field: HTMLInputElement, key: string, words: string, act: (name: string) => void): HTMLElement {
    field.maxLength = this.world.description?.nameCharsMax ?? 16;
    const button = this.pieces.button(key, words, () => undefined, "good");
    button.type = "submit";
    const form = h("form", { className: "found" }, field, button);
    form.onsubmit = (event) => {
      event.preventDefault();
      const name = field.value.trim();
      if (name) act(name);
      else field.focus();
    };
    return form;
  }
}

function input(key: string, placeholder: string, ariaLabel: string): HTMLInputElement {
  const field = h("input", { autocomplete: "off", spellcheck: false, placeholder, ariaLabel });
  field.dataset.key = key;
  return field;
}

/** A span of time in words: minutes, hours or days, rounded up. */
function span(ms: number): string {
  const count = (n: number, word: string) => `${n} ${word}${n === 1 ? "" : "s"}`;
  if (ms > 2 * DAY_MS) return count(Math.ceil(ms / DAY_MS), "day");
  if (ms > 2 * 3_600_000) return count(Math.ceil(ms / 3_600_000), "hour");
  return count(Math.max(1, Math.ceil(ms / 60_000)), "minute");
}
