/** One line for newcomers that follows what they do, and leaves when they have done everything once. */
import { Item } from "./gen/pioneer_pb.js";
import { keyLabel } from "./keyboard.js";

/** What a newcomer has done so far. */
export interface Deeds {
  /** How far the own body has come since the page was opened, mm. */
  readonly walkedMm: number;
  readonly bag: readonly Item[];
  /** Something within reach can be gathered. */
  readonly reaches: boolean;
  /** Has built something. */
  readonly built: boolean;
}

/** From this way on somebody can walk, mm. */
const WALKED_MM = 4_000;
const CRAFTED: readonly Item[] = [Item.PLANK, Item.ROPE, Item.AXE, Item.PICKAXE, Item.DYE];

/** The next thing to try, in words; undefined: there is nothing more to say. `touch`: by fingers. */
export function guide({ walkedMm, bag, reaches, built }: Deeds, touch: boolean): string | undefined {
  const key = (code: string, button: string) => (touch ? `“${button}”` : keyLabel(code));
  if (built) return undefined;
  if (bag.length === 0) {
    if (walkedMm < WALKED_MM) return touch ? "Walk with the stick, or touch where to go" : `Walk with ${["KeyW", "KeyA", "KeyS", "KeyD"].map(keyLabel).join(" ")}, or click where to go`;
    return reaches ? `${key("KeyE", "Gather")} gathers what is here` : "Walk up to a tree, a rock or a bush";
  }
  if (!bag.some((item) => CRAFTED.includes(item))) {
    return bag.includes(Item.WOOD) ? `${key("KeyC", "Craft")} crafts: two pieces of wood are two planks` : "A tree gives wood: gather some";
  }
  return `${key("KeyB", "Build")} builds: a fire for the night, a fence, one day a hut`;
}

const DONE = "pioneer.guided";

/** Shows the line until it was followed to its end, once for each browser. */
export class Guide {
  private readonly box = document.getElementById("guide") as HTMLElement;
  private done: boolean;
  private from: { x: number; y: number } | undefined;

  constructor() {
    this.done = remembered();
  }

  /** Call it a few times a second. `built`: the person has just built something, or has a building in sight. */
  draw(at: { x: number; y: number }, deeds: Omit<Deeds, "walkedMm">, away: boolean): void {
    if (this.done) return;
    this.from ??= { x: at.x, y: at.y };
    const walkedMm = Math.hypot(at.x - this.from.x, at.y - this.from.y);
    const text = guide({ ...deeds, walkedMm }, matchMedia("(pointer: coarse)").matches);
    this.box.hidden = text === undefined || away;
    if (text !== undefined && this.box.textContent !== text) this.box.textContent = text;
    if (text !== undefined) return;
    this.done = true;
    try {
      localStorage.setItem(DONE, "1");
    } catch {
      // It will be shown once more; that harms nobody.
    }
  }
}

function remembered(): boolean {
  try {
    return localStorage.getItem(DONE) !== null;
  } catch {
    return false;
  }
}
