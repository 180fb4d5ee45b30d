/** What is printed on this keyboard's keys. Keys are known by their place (`code`), so that walking is where it is on any layout. */

/** The Keyboard API, which not every browser has. */
interface LayoutKeyboard extends EventTarget {
  getLayoutMap(): Promise<{ get(code: string): string | undefined }>;
}

const WORDS: Record<string, string> = { Escape: "Esc", Space: "Space", Enter: "Enter" };
let layout: { get(code: string): string | undefined } | undefined;

/** What is printed on a key: of a browser that does not tell, as on a QWERTY keyboard. */
export function keyLabel(code: string): string {
  const printed = layout?.get(code) ?? "";
  // A layout without Latin letters has no word for everybody; its keys mostly have the Latin letter too.
  if (/^\p{Letter}$/u.test(printed) || /^\d$/.test(printed)) return printed.toLocaleUpperCase();
  return WORDS[code] ?? code.replace(/^(Key|Digit)/, "");
}

/** Calls back when the labels are known, and again when another layout is chosen. */
export function onLayout(changed: () => void): void {
  const keyboard = (navigator as { keyboard?: LayoutKeyboard }).keyboard;
  if (!keyboard?.getLayoutMap) return;
  const read = () =>
    void keyboard.getLayoutMap().then((map) => {
      layout = map;
      changed();
    }, () => undefined);
  // Another layout is mostly chosen outside of the page.
  window.addEventListener("focus", read);
  read();
}
