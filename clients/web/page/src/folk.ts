/** Players and creatures: little figures in a few poses, drawn once each. Units: metres. */
import { Item, Mood, Species } from "./gen/pioneer_pb.js";
import { blob, hsl, line, makeSprite, shadow, shape, Shelf, type Context, type Sprite } from "./sprite.js";

/** Poses of a step. */
const STEPS = 6;
/** Directions in which a figure can look. */
const DIRECTIONS = 8;
const shelf = new Shelf();

/** Coats, by the game's number: colour and its shade. */
const COATS = [
  [8, 62, 56], [28, 74, 55], [46, 78, 56], [84, 42, 48], [140, 36, 44], [172, 44, 42],
  [198, 58, 50], [220, 52, 56], [258, 40, 60], [300, 32, 56], [336, 56, 60], [24, 22, 42],
] as const;
const HAIR = ["#4b3426", "#2e2622", "#8a5a2f", "#c99a4e", "#6d3b2a", "#8d8783"];
const SKIN = ["#f2cda6", "#e0b088", "#c48d63", "#8f6042"];

/** The coat's colour for the map, names and icons. */
export function coatColour(colour: number): string {
  const [h, s, l] = COATS[colour % COATS.length]!;
  return hsl(h, s, l);
}

/** The pose of a figure that has walked `metres`; 0: it stands. */
export function pose(metres: number, moving: boolean): number {
  return moving ? 1 + (Math.floor(metres * 3.2) % STEPS) : 0;
}

/** A player. `heading` in radians; `id` chooses hair and skin. */
export function playerSprite(colour: number, id: bigint, heading: number, step: number, holds: Item): Sprite {
  const direction = ((Math.round((heading / (Math.PI * 2)) * DIRECTIONS) % DIRECTIONS) + DIRECTIONS) % DIRECTIONS;
  const looks = Number(id & 0xffn);
  const hair = HAIR[looks % HAIR.length]!;
  const skin = SKIN[(looks >> 4) % SKIN.length]!;
  const name = `p/${colour}/${hair}/${skin}/${direction}/${step}/${holds}`;
  return shelf.take(name, () =>
    makeSprite([-0.95, -1.85, 1.05, 0.4], (c) => drawPlayer(c, colour, hair, skin, (direction / DIRECTIONS) * Math.PI * 2, step, holds)),
  );
}

function drawPlayer(c: Context, colour: number, hair: string, skin: string, heading: number, step: number, holds: Item): void {
  const [h, s, l] = COATS[colour % COATS.length]!;
  const lookX = Math.cos(heading);
  const lookY = Math.sin(heading);
  const phase = step === 0 ? 0 : ((step - 1) / STEPS) * Math.PI * 2;
  const swing = step === 0 ? 0 : Math.sin(phase);
  const hop = step === 0 ? 0 : Math.abs(Math.cos(phase)) * 0.06;
  shadow(c, 0.42, 0.2, 0.08, 0.02);
  c.translate(0, -hop);
  // Feet step along the heading.
  for (const side of [-1, 1]) {
    const along = swing * side * 0.16;
    blob(c, side * 0.13 * (0.4 + Math.abs(lookY) * 0.6) + lookX * along, 0.0 + lookY * along * 0.6 + hop, 0.12, 0.08, "#4d3a2c");
  }
  const handX = 0.36 * (Math.abs(lookY) * 0.75 + 0.25) * (lookY < 0 ? -1 : 1);
  const heldBehind = lookY < -0.3;
  if (heldBehind) drawHeld(c, holds, handX, -0.46 + swing * 0.05);
  // Coat: a soft bell.
  c.fillStyle = hsl(h, s, l - 9);
  bell(c, 0.36);
  c.save();
  c.beginPath();
  bellPath(c, 0.36);
  c.clip();
  blob(c, -0.12, -0.46, 0.3, 0.5, hsl(h, s, l));
  c.restore();
  line(c, hsl(h, s, l - 20), 0.045, -0.3, -0.3, 0, -0.25, 0.3, -0.3);
  // Arms.
  for (const side of [-1, 1]) {
    const x = side * 0.33 * (0.55 + Math.abs(lookY) * 0.45);
    blob(c, x, -0.46 - swing * side * 0.05, 0.09, 0.16, hsl(h, s, l - (side > 0 ? 13 : 4)), side * -0.25);
    blob(c, x * 1.08, -0.33 - swing * side * 0.05, 0.07, 0.07, skin);
  }
  // Scarf and head.
  blob(c, 0, -0.77, 0.2, 0.08, hsl(h + 170, 45, 66));
  blob(c, 0, -1.06, 0.33, 0.32, hair);
  blob(c, lookX * 0.07, -1.02 + lookY * 0.05, 0.285, 0.275, lookY < -0.6 ? hair : skin);
  fringe(c, lookX, lookY, hair);
  if (lookY > -0.5) {
    const spread = 0.115 * (1 - Math.abs(lookX) * 0.35);
    for (const side of [-1, 1]) {
      const x = lookX * 0.17 + side * spread;
      if (Math.abs(x) > 0.27) continue;
      blob(c, x, -0.99 + lookY * 0.05, 0.034, 0.047, "#2b2320");
      blob(c, x - 0.01, -1.005 + lookY * 0.05, 0.012, 0.014, "#fff");
    }
    blob(c, lookX * 0.17 - spread * 1.35, -0.91 + lookY * 0.05, 0.04, 0.025, "rgba(230,120,100,.4)");
    blob(c, lookX * 0.17 + spread * 1.35, -0.91 + lookY * 0.05, 0.04, 0.025, "rgba(230,120,100,.4)");
  }
  if (!heldBehind) drawHeld(c, holds, handX, -0.4 - swing * 0.05);
}

function bell(c: Context, w: number): void {
  c.beginPath();
  bellPath(c, w);
  c.fill();
}

function bellPath(c: Context, w: number): void {
  c.moveTo(-w * 0.5, -0.8);
  c.bezierCurveTo(-w * 0.9, -0.6, -w, -0.3, -w * 0.98, -0.12);
  c.quadraticCurveTo(0, 0.02, w * 0.98, -0.12);
  c.bezierCurveTo(w, -0.3, w * 0.9, -0.6, w * 0.5, -0.8);
  c.closePath();
}

function fringe(c: Context, lookX: number, lookY: number, hair: string): void {
  c.fillStyle = hair;
  c.beginPath();
  c.ellipse(lookX * -0.03, -1.1 - Math.max(0, lookY) * 0.02, 0.335, 0.27, 0, Math.PI * 0.98, Math.PI * 2.02);
  c.quadraticCurveTo(lookX * 0.1, -1.1 - lookY * 0.09, -0.335 + lookX * -0.03, -1.1);
  c.fill();
}

function drawHeld(c: Context, item: Item, x: number, y: number): void {
  c.save();
  c.translate(x, y);
  if (x < 0) c.scale(-1, 1);
  switch (item) {
    case Item.AXE:
      line(c, "#7b5638", 0.06, -0.06, 0.2, 0.12, -0.42);
      shape(c, "#aeb6bb", 0.06, -0.46, 0.28, -0.52, 0.32, -0.28, 0.06, -0.3);
      shape(c, "#dfe5e8", 0.25, -0.52, 0.3, -0.52, 0.34, -0.28, 0.27, -0.29);
      break;
    case Item.PICKAXE:
      line(c, "#7b5638", 0.06, -0.06, 0.2, 0.12, -0.44);
      c.strokeStyle = "#9aa2a8";
      c.lineWidth = 0.08;
      c.beginPath();
      c.arc(0.06, -0.16, 0.32, -2.1, -0.55);
      c.stroke();
      break;
    case Item.NONE:
      break;
    default:
      drawItem(c, item, 0.05, -0.08, 0.3);
  }
  c.restore();
}

/** An item as an icon of side `size` around a point. */
export function drawItem(c: Context, item: Item, x: number, y: number, size: number): void {
  c.save();
  c.translate(x, y);
  c.scale(size, size);
  c.lineCap = "round";
  c.lineJoin = "round";
  switch (item) {
    case Item.WOOD:
      for (const [dx, dy] of [[-0.16, 0.16], [0.18, 0.16], [0.01, -0.1]] as const) {
        line(c, "#7d5a3c", 0.26, dx - 0.14, dy + 0.06, dx + 0.14, dy - 0.06);
        blob(c, dx + 0.16, dy - 0.06, 0.1, 0.13, "#e3c08f");
        blob(c, dx + 0.16, dy - 0.06, 0.05, 0.07, "#c1945f");
      }
      break;
    case Item.STONE:
      shape(c, "#7f7c79", -0.4, 0.2, -0.3, -0.18, 0.02, -0.34, 0.34, -0.14, 0.4, 0.22, 0.08, 0.34, -0.24, 0.32);
      shape(c, "#b1ada6", -0.3, -0.18, 0.02, -0.34, 0.34, -0.14, 0.06, 0.02, -0.18, 0);
      break;
    case Item.BERRY:
      line(c, "#4f7f3f", 0.06, 0, -0.36, -0.12, -0.05);
      line(c, "#4f7f3f", 0.06, 0, -0.36, 0.16, -0.02);
      for (const [dx, dy] of [[-0.16, 0.08], [0.17, 0.06], [0.01, 0.24]] as const) {
        blob(c, dx, dy, 0.17, 0.17, "#9f2745");
        blob(c, dx - 0.05, dy - 0.05, 0.08, 0.07, "#e26881");
      }
      blob(c, 0.12, -0.34, 0.14, 0.07, "#69a050", -0.4);
      break;
    case Item.FIBRE:
      for (const [dx, lean] of [[-0.2, -0.16], [-0.08, -0.05], [0.06, 0.06], [0.18, 0.17]] as const) line(c, "#bcc680", 0.07, dx * 0.5, 0.36, dx + lean, -0.34);
      line(c, "#8a7a44", 0.1, -0.16, 0.1, 0.16, 0.1);
      break;
    case Item.PLANK:
      for (const [dy, tone] of [[-0.2, "#d9ae75"], [0.02, "#c99a60"], [0.24, "#b98950"]] as const) {
        shape(c, tone, -0.4, dy - 0.06, 0.32, dy - 0.16, 0.4, dy - 0.02, -0.32, dy + 0.1);
      }
      break;
    case Item.ROPE:
      c.strokeStyle = "#a98a55";
      c.lineWidth = 0.11;
      for (const r of [0.32, 0.2, 0.08]) {
        c.beginPath();
        c.ellipse(0, 0.02, r, r * 0.85, 0, 0, 7);
        c.stroke();
      }
      line(c, "#c8aa72", 0.1, 0.28, 0.14, 0.4, 0.36);
      break;
    case Item.AXE:
      line(c, "#8b6141", 0.1, -0.28, 0.38, 0.16, -0.34);
      shape(c, "#a5adb3", 0.0, -0.36, 0.34, -0.36, 0.42, 0.02, 0.14, -0.06);
      shape(c, "#e2e8eb", 0.31, -0.36, 0.38, -0.34, 0.44, 0.02, 0.36, 0.01);
      break;
    case Item.PICKAXE:
      line(c, "#8b6141", 0.1, -0.3, 0.38, 0.14, -0.2);
      c.strokeStyle = "#9ca5ab";
      c.lineWidth = 0.12;
      c.beginPath();
      c.arc(-0.08, 0.02, 0.42, -1.75, 0.35);
      c.stroke();
      break;
    case Item.DYE:
      shape(c, "#cdbfa5", -0.16, -0.34, 0.16, -0.34, 0.13, -0.16, -0.13, -0.16);
      blob(c, 0, 0.1, 0.32, 0.28, "#b5477a");
      blob(c, -0.09, 0.0, 0.12, 0.1, "#e58bb0");
      break;
    default:
      break;
  }
  c.restore();
}

/** A creature. `left`: it looks to the west. */
export function creatureSprite(species: Species, mood: Mood, look: number, left: boolean, step: number): Sprite {
  const variant = look % 4;
  const grazes = mood === Mood.CALM;
  const name = `c/${species}/${variant}/${left}/${step}/${grazes}`;
  return shelf.take(name, () =>
    makeSprite([-0.95, -1.2, 1, 0.35], (c) => {
      if (left) c.scale(-1, 1);
      if (species === Species.SHEEP) sheep(c, variant, step, grazes);
      else rabbit(c, variant, step, grazes);
    }),
  );
}

function sheep(c: Context, variant: number, step: number, grazes: boolean): void {
  const swing = step === 0 ? 0 : Math.sin(((step - 1) / STEPS) * Math.PI * 2) * 0.1;
  const wool = ["#f4efe4", "#e9e0d0", "#f7f3ea", "#8d8078"][variant]!;
  const shade = ["#d6cdbd", "#c8bca8", "#dad2c4", "#6f645e"][variant]!;
  shadow(c, 0.6, 0.22, 0.05, 0.02);
  for (const [x, s] of [[-0.3, 1], [-0.15, -1], [0.18, 1], [0.32, -1]] as const) line(c, "#4a403a", 0.09, x, -0.25, x + swing * s, 0);
  for (const [x, y, r] of [[-0.32, -0.42, 0.26], [0, -0.38, 0.32], [0.28, -0.44, 0.25], [-0.12, -0.6, 0.28], [0.15, -0.6, 0.26]] as const) {
    blob(c, x, y + 0.05, r, r * 0.9, shade);
  }
  for (const [x, y, r] of [[-0.32, -0.46, 0.24], [0, -0.44, 0.29], [0.28, -0.48, 0.23], [-0.12, -0.64, 0.25], [0.15, -0.64, 0.23]] as const) {
    blob(c, x, y, r, r * 0.85, wool);
  }
  const hx = 0.55;
  const hy = grazes && step === 0 ? -0.28 : -0.62;
  blob(c, hx, hy, 0.17, 0.2, "#5a4d45", 0.3);
  blob(c, hx - 0.14, hy - 0.1, 0.12, 0.05, "#4a403a", -0.5);
  blob(c, hx - 0.02, hy - 0.17, 0.14, 0.09, wool);
  blob(c, hx + 0.06, hy - 0.03, 0.025, 0.03, "#fff");
  blob(c, hx + 0.065, hy - 0.03, 0.014, 0.02, "#111");
}

function rabbit(c: Context, variant: number, step: number, grazes: boolean): void {
  const hop = step === 0 ? 0 : Math.abs(Math.sin(((step - 1) / STEPS) * Math.PI)) * 0.2;
  const fur = ["#a98b6b", "#8c7a68", "#c9b193", "#e8e0d5"][variant]!;
  const dark = ["#8a6f53", "#6f6052", "#ab9375", "#c9beb0"][variant]!;
  shadow(c, 0.28, 0.11, 0.03, 0.01);
  c.translate(0, -hop);
  blob(c, -0.28, -0.16, 0.08, 0.08, "#f6f1e8");
  blob(c, -0.06, -0.17, 0.25, 0.17, dark);
  blob(c, -0.06, -0.2, 0.23, 0.15, fur);
  blob(c, -0.14, -0.06, 0.12, 0.06, dark);
  blob(c, 0.14, -0.04, 0.06, 0.045, fur);
  const hy = grazes && step === 0 ? -0.22 : -0.32;
  blob(c, 0.14, hy - 0.2, 0.05, 0.16, dark, -0.25);
  blob(c, 0.19, hy - 0.2, 0.05, 0.17, fur, 0.05);
  blob(c, 0.19, hy - 0.19, 0.022, 0.11, "#e3b7a8", 0.05);
  blob(c, 0.19, hy, 0.13, 0.11, fur);
  blob(c, 0.235, hy - 0.02, 0.024, 0.028, "#241c18");
  blob(c, 0.31, hy + 0.02, 0.02, 0.016, "#d98f88");
}
