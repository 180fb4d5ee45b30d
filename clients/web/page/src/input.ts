/** Keys, mouse and fingers, turned into actions. Keys are known by their place on the keyboard, whatever is printed on them. */

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
    // Nobody says that a key goes up while the page does not have the keyboard, nor while a meta key is down.
    const release = () => this.down.clear();
    window.addEventListener("blur", release);
    document.addEventListener("visibilitychange", release);
    document.addEventListener("focusin", (event) => isWriting(event.target) && release());
    // A button that was clicked gives the keys back: Enter and Space press a button only where the keyboard has gone to.
    document.addEventListener("click", (event) => event.detail > 0 && (document.activeElement as HTMLElement | null)?.matches("button") && (document.activeElement as HTMLElement).blur(), { capture: true });
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
    // Behind a dialog nothing acts.
    if (document.getElementById("cover")?.hidden === false) return;
    if (isWriting(event.target)) {
      // To an input method it means: not this word.
      if (event.code === "Escape" && !event.isComposing) actions.cancel();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return this.down.clear();
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
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"] as const) stick.addEventListener(end, () => set(0, 0));
  }

  private bindButtons(actions: Actions): void {
    // The first ones are for walking about, the others for building.
    const buttons: [string, () => void, "about" | "building"][] = [
      ["Gather", actions.gather, "about"],
      ["Build", actions.build, "about"],
      ["Craft", actions.craft, "about"],
      ["Say", actions.chat, "about"],
      ["Map", actions.map, "about"],
      ["X-ray", actions.xray, "about"],
      ["Place", actions.place, "building"],
      ["Turn", actions.rotate, "building"],
      ["End", actions.cancel, "building"],
    ];
    document.getElementById("buttons")?.append(
      ...buttons.map(([text, action, when]) => {
        const button = document.createElement("button");
        button.textContent = text;
        button.className = when;
        // While one thumb walks, browsers make no click of what the other one does.
        button.addEventListener("pointerdown", (event) => {
          if (event.pointerType !== "touch") return;
          event.preventDefault();
          action();
        });
        button.addEventListener("click", (event) => (event as PointerEvent).pointerType !== "touch" && action());
        return button;
      }),
    );
  }
}

function isWriting(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;
}
