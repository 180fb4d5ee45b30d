/** Keys, mouse and fingers, turned into actions. */

/** The actions that input triggers. */
export interface Actions {
  gather(): void;
  build(): void;
  craft(): void;
  people(): void;
  mail(): void;
  /** The stall next to the player. */
  stall(): void;
  guild(): void;
  land(): void;
  rotate(): void;
  place(): void;
  demolish(): void;
  cancel(): void;
  chat(): void;
  xray(): void;
  map(): void;
  number(n: number): void;
  zoom(factor: number): void;
  /** The pointer was pressed on the island: CSS pixels. `touch`: by a finger. */
  press(x: number, y: number, touch: boolean): void;
}

const WALK: Record<string, readonly [number, number]> = {
  KeyW: [0, -1],
  ArrowUp: [0, -1],
  KeyS: [0, 1],
  ArrowDown: [0, 1],
  KeyA: [-1, 0],
  ArrowLeft: [-1, 0],
  KeyD: [1, 0],
  ArrowRight: [1, 0],
};
/** How far the stick can be pushed, CSS pixels. */
const STICK_PX = 46;

/** See the top of the file. */
export class Input {
  /** Position of the pointer, CSS pixels; undefined before it was first seen. */
  pointer: { x: number; y: number } | undefined;
  private readonly down = new Set<string>();
  private stick: [number, number] = [0, 0];

  constructor(canvas: HTMLCanvasElement, actions: Actions) {
    window.addEventListener("keydown", (event) => this.onKey(event, actions));
    window.addEventListener("keyup", (event) => this.down.delete(event.code));
    window.addEventListener("blur", () => this.down.clear());
    canvas.addEventListener("pointermove", (event) => (this.pointer = { x: event.clientX, y: event.clientY }));
    canvas.addEventListener("pointerdown", (event) => {
      this.pointer = { x: event.clientX, y: event.clientY };
      if (event.button === 0) actions.press(event.clientX, event.clientY, event.pointerType === "touch");
    });
    // What a finger touches may open something under it. The click that browsers make of a touch must not press that.
    canvas.addEventListener("touchend", (event) => event.preventDefault(), { passive: false });
    canvas.addEventListener("contextmenu", (event) => {
      event.preventDefault();
      actions.cancel();
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      actions.zoom(Math.exp(-event.deltaY * 0.0012));
    }, { passive: false });
    this.bindStick();
    this.bindButtons(actions);
  }

  /** Direction of keys and stick: length up to 1. */
  get direction(): [number, number] {
    let [x, y] = this.stick;
    for (const code of this.down) {
      const [dx, dy] = WALK[code] ?? [0, 0];
      x += dx;
      y += dy;
    }
    const length = Math.hypot(x, y);
    return length > 1 ? [x / length, y / length] : [x, y];
  }

  private onKey(event: KeyboardEvent, actions: Actions): void {
    if (event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement) {
      if (event.code === "Escape") actions.cancel();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // They press the button that has the focus.
    if (event.target instanceof HTMLButtonElement && (event.code === "Enter" || event.code === "Space")) return;
    if (event.code in WALK) {
      this.down.add(event.code);
      if (event.code.startsWith("Arrow")) event.preventDefault();
      return;
    }
    if (event.repeat) return;
    const keys: Record<string, () => void> = {
      KeyE: actions.gather,
      KeyB: actions.build,
      KeyC: actions.craft,
      KeyP: actions.people,
      KeyL: actions.mail,
      KeyT: actions.stall,
      KeyG: actions.guild,
      KeyN: actions.land,
      KeyR: actions.rotate,
      KeyV: actions.demolish,
      KeyX: actions.xray,
      F3: actions.xray,
      KeyM: actions.map,
      Enter: actions.chat,
      Space: actions.place,
      Escape: actions.cancel,
      Equal: () => actions.zoom(1.15),
      Minus: () => actions.zoom(1 / 1.15),
    };
    const action = keys[event.code];
    const digit = /^Digit([1-9])$/.exec(event.code);
    if (action) action();
    else if (digit) actions.number(Number(digit[1]));
    else return;
    event.preventDefault();
  }

  private bindStick(): void {
    const stick = document.getElementById("stick");
    const knob = stick?.querySelector("b");
    if (!stick || !knob) return;
    const set = (x: number, y: number) => {
      this.stick = [x, y];
      knob.style.transform = `translate(${x * STICK_PX}px, ${y * STICK_PX}px)`;
    };
    const move = (event: PointerEvent) => {
      if (!stick.hasPointerCapture(event.pointerId)) return;
      const box = stick.getBoundingClientRect();
      const x = (event.clientX - box.left - box.width / 2) / STICK_PX;
      const y = (event.clientY - box.top - box.height / 2) / STICK_PX;
      const length = Math.max(1, Math.hypot(x, y));
      set(x / length, y / length);
    };
    stick.addEventListener("pointerdown", (event) => {
      stick.setPointerCapture(event.pointerId);
      move(event);
    });
    stick.addEventListener("pointermove", move);
    for (const end of ["pointerup", "pointercancel"] as const) stick.addEventListener(end, () => set(0, 0));
  }

  private bindButtons(actions: Actions): void {
    const buttons: [string, () => void][] = [
      ["Gather", actions.gather],
      ["Build", actions.build],
      ["Craft", actions.craft],
      ["Turn", actions.rotate],
      ["Say", actions.chat],
      ["X-ray", actions.xray],
    ];
    document.getElementById("buttons")?.append(
      ...buttons.map(([text, action]) => {
        const button = document.createElement("button");
        button.textContent = text;
        button.addEventListener("click", action);
        return button;
      }),
    );
  }
}
