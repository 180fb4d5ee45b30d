/** Making and redrawing elements. Text is never read as HTML. */

/** What an element may contain. */
export type Child = Node | string;

/** Makes an element: `h("b", { title: "x" }, "text")`. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Partial<HTMLElementTagNameMap[K]> = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children);
  return element;
}

/** Draws a box again and keeps the focus: on the same element if it is still there, else on what has the same key, else on its title. */
export function redraw(box: HTMLElement, parts: readonly Child[]): void {
  const focused = box.contains(document.activeElement) ? (document.activeElement as HTMLElement) : undefined;
  const scroll = box.scrollTop;
  box.replaceChildren(...parts);
  box.scrollTop = scroll;
  if (!focused) return;
  const { key } = focused.dataset;
  // What one writes in stays the same element.
  const same = box.contains(focused) ? focused : [...box.querySelectorAll<HTMLButtonElement | HTMLInputElement>("[data-key]")].find((control) => key !== undefined && control.dataset.key === key && !control.disabled);
  (same ?? box.querySelector<HTMLElement>("h2"))?.focus();
}
