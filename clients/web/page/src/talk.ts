/** What people near have said, as lines that stay to be read, and that a screen reader reads aloud. */
import { h } from "./dom.js";

/** Lines that are kept. */
const LINES_MAX = 100;
/** A line fades after this time, ms, unless the chat line is open. */
const FRESH_MS = 12_000;

/** See the top of the file. */
export class Talk {
  private readonly box = document.getElementById("talk") as HTMLElement;

  /** Somebody said something. `own`: the player itself. */
  add(name: string, text: string, own: boolean): void {
    const line = h("p", { className: own ? "own fresh" : "fresh" }, h("b", { dir: "auto" }, name), h("span", { dir: "auto" }, text));
    const atEnd = this.box.scrollTop + this.box.clientHeight >= this.box.scrollHeight - 4;
    this.box.append(line);
    while (this.box.childElementCount > LINES_MAX) this.box.firstElementChild?.remove();
    // A person who has scrolled back stays there.
    if (atEnd || !this.box.classList.contains("open")) this.box.scrollTop = this.box.scrollHeight;
    setTimeout(() => line.classList.remove("fresh"), FRESH_MS);
  }

  /** Shows all lines, also those that have faded. */
  open(open: boolean): void {
    this.box.classList.toggle("open", open);
    this.box.scrollTop = this.box.scrollHeight;
  }
}
