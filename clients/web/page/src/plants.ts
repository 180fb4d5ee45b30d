/** Trees, rocks and bushes: how each looks full, growing and bare, in a few variants. Units: metres. */
import { chance } from "./chance.js";
import { Stage, What } from "./gen/pioneer_pb.js";
import { blob, hsl, line, makeSprite, shadow, shape, Shelf, type Context, type Sprite } from "./sprite.js";

/** Variants of each; size differs besides. */
const VARIANTS = 5;
const shelf = new Shelf();

/** The picture of a plant or rock. `look` 0..255 chooses the variant. */
export function plantSprite(what: What, stage: Stage, look: number): Sprite {
  const variant = look % VARIANTS;
  return shelf.take(`${what}/${stage}/${variant}`, () => {
    const roll = chance(what * 1_000 + variant * 17 + 3);
    switch (what) {
      case What.PINE:
        return stage === Stage.BARE ? stump("#8a6547", 0.34) : pine(roll, stage === Stage.FULL ? 1 : 0.62);
      case What.OAK:
        return stage === Stage.BARE ? stump("#8d6a49", 0.46) : oak(roll, stage === Stage.FULL ? 1 : 0.66);
      case What.PALM:
        return stage === Stage.BARE ? stump("#a58560", 0.28) : palm(roll, stage === Stage.FULL ? 1 : 0.68);
      case What.ROCK:
        return stage === Stage.BARE ? rubble(roll) : rock(roll, stage === Stage.FULL ? 1 : 0.72);
      case What.BERRY_BUSH:
        return bush(roll, stage === Stage.FULL ? 11 : stage === Stage.GROWING ? 4 : 0);
      default:
        return flax(roll, stage);
    }
  });
}

/** Size of a plant or rock, around 1, by its look. */
export function plantSize(look: number): number {
  return 0.86 + ((look * 37) % 64) / 64 * 0.3;
}

/** How much it sways in the wind; 0: not at all. */
export function plantSway(what: What, stage: Stage): number {
  if (stage === Stage.BARE || what === What.ROCK) return 0;
  return what === What.PALM ? 0.035 : what === What.FLAX ? 0.06 : 0.016;
}

/** Where leaves fly up from when it is cut, and their colour. */
export function plantChips(what: What): { height: number; colours: readonly string[] } {
  switch (what) {
    case What.ROCK:
      return { height: 0.5, colours: ["#8d8a86", "#b9b5ae", "#6d6a68"] };
    case What.BERRY_BUSH:
      return { height: 0.5, colours: ["#b73a56", "#e0607a", "#4f8743"] };
    case What.FLAX:
      return { height: 0.5, colours: ["#7ea0d8", "#8fb25c", "#c9d48d"] };
    case What.PALM:
      return { height: 2.2, colours: ["#79ad4b", "#a58560", "#9cc763"] };
    default:
      return { height: 1.7, colours: ["#4d8244", "#8a6547", "#c9a06d", "#6b9c4d"] };
  }
}

function trunk(c: Context, base: number, top: number, height: number, colour: string, dark: string): void {
  shape(c, colour, -base, 0.06, -top, -height, top, -height, base, 0.06);
  shape(c, dark, base * 0.15, 0.06, top * 0.1, -height, top, -height, base, 0.06);
  blob(c, 0, 0.05, base * 1.05, base * 0.4, dark);
  shape(c, colour, -base * 0.9, 0.06, -base * 0.5, -0.2, base * 0.3, -0.2, base * 0.1, 0.1);
}

function pine(roll: () => number, grown: number): Sprite {
  return makeSprite([-1.7, -4.6, 2.2, 0.6], (c) => {
    shadow(c, 1.25 * grown, 0.5 * grown, 0.35);
    c.scale(grown, grown);
    const hue = 128 + roll() * 26;
    const light = 25 + roll() * 6;
    trunk(c, 0.18, 0.12, 1, "#7d5b41", "#61452f");
    const tiers = 4;
    for (let k = 0; k < tiers; k++) {
      const y = -0.55 - k * 0.86;
      const w = 1.28 - k * 0.27 + (roll() - 0.5) * 0.1;
      const h = 1.45 - k * 0.09;
      fir(c, y, w, h, hsl(hue, 34, light + k * 2.4 - 5), hsl(hue - 14, 36, light + k * 2.8 + 5), roll);
    }
  });
}

function fir(c: Context, y: number, w: number, h: number, dark: string, bright: string, roll: () => number): void {
  const edge = (fill: string, from: number, to: number, lift: number) => {
    c.fillStyle = fill;
    c.beginPath();
    c.moveTo(0, y - h);
    const teeth = 6;
    for (let k = 0; k <= teeth; k++) {
      const x = from + ((to - from) * k) / teeth;
      const drop = (1 - Math.abs(x) / w) * 0.2 + (k % 2 ? -0.1 : 0.04) + (roll() - 0.5) * 0.05;
      c.lineTo(x, y + drop - lift);
    }
    c.closePath();
    c.fill();
  };
  edge(dark, -w, w, 0);
  edge(bright, -w * 0.92, w * 0.12, 0.1);
}

function oak(roll: () => number, grown: number): Sprite {
  return makeSprite([-2.3, -4.3, 2.8, 0.8], (c) => {
    shadow(c, 1.75 * grown, 0.72 * grown, 0.45);
    c.scale(grown, grown);
    const hue = 84 + roll() * 30;
    const light = 33 + roll() * 5;
    trunk(c, 0.27, 0.2, 1.5, "#86634a", "#684a35");
    const puffs: [number, number, number][] = [];
    for (let k = 0; k < 9; k++) {
      const angle = (k / 9) * Math.PI * 2 + roll();
      puffs.push([Math.cos(angle) * (0.85 + roll() * 0.25), -2.25 + Math.sin(angle) * (0.62 + roll() * 0.2), 0.72 + roll() * 0.2]);
    }
    puffs.push([0, -2.4, 1.1]);
    for (const [x, y, r] of puffs) blob(c, x, y + 0.16, r, r * 0.9, hsl(hue + 12, 36, light - 9));
    for (const [x, y, r] of puffs) blob(c, x, y, r * 0.95, r * 0.86, hsl(hue + 4, 40, light));
    for (const [x, y, r] of puffs) if (x < 0.55) blob(c, x - 0.16, y - 0.22, r * 0.62, r * 0.52, hsl(hue - 6, 44, light + 8));
    for (let k = 0; k < 16; k++) {
      blob(c, -1.1 + roll() * 1.9, -3.1 + roll() * 1.4, 0.09, 0.06, hsl(hue - 12, 50, light + 16), roll() * 3);
    }
  });
}

function palm(roll: () => number, grown: number): Sprite {
  return makeSprite([-2, -4.3, 2.5, 0.6], (c) => {
    shadow(c, 1.2 * grown, 0.42 * grown, 0.5);
    c.scale(grown, grown);
    const lean = (roll() - 0.5) * 0.9;
    c.lineCap = "butt";
    for (let k = 0; k < 12; k++) {
      const t = k / 11;
      const x = lean * t * t;
      line(c, k % 2 ? "#a98a63" : "#977750", 0.3 - t * 0.12, x, 0.04 - t * 2.6, lean * ((k + 1) / 11) ** 2, 0.04 - (t + 1 / 11) * 2.6 - 0.02);
    }
    c.lineCap = "round";
    const hue = 82 + roll() * 18;
    for (let k = 0; k < 9; k++) {
      const angle = (k / 9) * Math.PI * 2 + roll() * 0.4;
      const far = 1.35 + roll() * 0.3;
      const dx = Math.cos(angle) * far;
      const dy = Math.sin(angle) * far * 0.55;
      frond(c, lean, -2.6, dx, dy, hsl(hue, 42, dy > 0 ? 36 : 44), hsl(hue - 8, 46, dy > 0 ? 46 : 54));
    }
    for (const [x, y] of [[-0.1, 0.06], [0.12, 0.05], [0.02, 0.14]] as const) blob(c, lean + x, -2.6 + y, 0.12, 0.12, "#7a573a");
  });
}

function frond(c: Context, x: number, y: number, dx: number, dy: number, dark: string, bright: string): void {
  for (const [wide, colour] of [[0.26, dark], [0.12, bright]] as const) {
    c.fillStyle = colour;
    c.beginPath();
    c.moveTo(x, y);
    c.quadraticCurveTo(x + dx * 0.5 - dy * wide, y + dy * 0.4 - 0.45 - wide, x + dx, y + dy + 0.25);
    c.quadraticCurveTo(x + dx * 0.5 + dy * wide, y + dy * 0.4 - 0.25 + wide, x, y);
    c.fill();
  }
}

function stump(colour: string, r: number): Sprite {
  return makeSprite([-0.9, -0.6, 1, 0.5], (c) => {
    shadow(c, r * 1.6, r * 0.8, 0.12);
    shape(c, "#5f4530", -r, -0.16, -r * 1.15, 0.08, r * 1.15, 0.08, r, -0.16);
    blob(c, 0, 0.08, r * 1.15, r * 0.45, "#5f4530");
    blob(c, 0, -0.16, r, r * 0.45, "#e0bd8c");
    c.strokeStyle = colour;
    c.lineWidth = 0.03;
    for (const share of [0.72, 0.42, 0.16]) {
      c.beginPath();
      c.ellipse(0, -0.16, r * share, r * share * 0.45, 0, 0, 7);
      c.stroke();
    }
    line(c, "#6d9a4a", 0.05, -r * 1.1, 0.14, -r * 1.25, -0.06);
    line(c, "#86b45c", 0.05, r * 1.05, 0.14, r * 1.2, -0.02);
  });
}

function rock(roll: () => number, grown: number): Sprite {
  return makeSprite([-1.3, -1.5, 1.6, 0.6], (c) => {
    shadow(c, 1.05 * grown, 0.45 * grown, 0.25, 0.05);
    c.scale(grown, grown);
    const tint = 30 + roll() * 200;
    const stone = (l: number) => hsl(tint, 5, l);
    boulder(c, 0, 0, 0.86, 0.95 + roll() * 0.25, stone, roll);
    boulder(c, 0.55 - roll() * 1.1, 0.16, 0.42, 0.42, stone, roll);
    if (roll() < 0.7) blob(c, -0.28, -0.82, 0.24, 0.08, "rgba(112,140,78,.75)", -0.2);
  });
}

function boulder(c: Context, x: number, y: number, w: number, h: number, stone: (l: number) => string, roll: () => number): void {
  const peak = (roll() - 0.5) * 0.3;
  shape(c, stone(44), x - w, y, x - w * 0.82, y - h * 0.6, x + peak - 0.15, y - h, x + peak + 0.3 * w, y - h * 0.94, x + w * 0.86, y - h * 0.42, x + w, y + 0.04, x + w * 0.5, y + 0.22, x - w * 0.55, y + 0.2);
  shape(c, stone(62), x - w * 0.82, y - h * 0.6, x + peak - 0.15, y - h, x + peak + 0.3 * w, y - h * 0.94, x + w * 0.1, y - h * 0.52, x - w * 0.42, y - h * 0.4);
  shape(c, stone(53), x - w, y, x - w * 0.82, y - h * 0.6, x - w * 0.42, y - h * 0.4, x - w * 0.35, y + 0.2, x - w * 0.55, y + 0.2);
  line(c, stone(70), 0.03, x - w * 0.42, y - h * 0.4, x + w * 0.1, y - h * 0.52, x + peak + 0.3 * w, y - h * 0.94);
}

function rubble(roll: () => number): Sprite {
  return makeSprite([-1, -0.5, 1.1, 0.5], (c) => {
    shadow(c, 0.8, 0.3, 0.1, 0.05);
    for (let k = 0; k < 8; k++) {
      const x = (roll() - 0.5) * 1.3;
      const y = (roll() - 0.5) * 0.4;
      const r = 0.1 + roll() * 0.1;
      blob(c, x, y, r * 1.2, r * 0.85, "#716e6b");
      blob(c, x - r * 0.2, y - r * 0.3, r * 0.85, r * 0.5, "#aaa69f");
    }
  });
}

function bush(roll: () => number, berries: number): Sprite {
  return makeSprite([-1.1, -1.25, 1.3, 0.5], (c) => {
    shadow(c, 0.85, 0.36, 0.18, 0.05);
    const hue = 100 + roll() * 22;
    const puffs: [number, number, number][] = [[-0.42, -0.3, 0.42], [0.42, -0.28, 0.4], [0, -0.5, 0.52], [-0.15, -0.18, 0.45], [0.2, -0.16, 0.42]];
    for (const [x, y, r] of puffs) blob(c, x, y + 0.08, r, r * 0.85, hsl(hue + 10, 34, 25));
    for (const [x, y, r] of puffs) blob(c, x, y, r * 0.93, r * 0.78, hsl(hue, 38, 34));
    for (const [x, y, r] of puffs) blob(c, x - 0.1, y - 0.13, r * 0.55, r * 0.42, hsl(hue - 8, 42, 44));
    for (let k = 0; k < berries; k++) {
      const angle = roll() * 7;
      const far = Math.sqrt(roll()) * 0.62;
      const x = Math.cos(angle) * far;
      const y = -0.36 + Math.sin(angle) * far * 0.68;
      blob(c, x, y, 0.085, 0.085, "#9f2745");
      blob(c, x - 0.02, y - 0.025, 0.05, 0.045, "#dd5671");
    }
  });
}

function flax(roll: () => number, stage: Stage): Sprite {
  return makeSprite([-0.9, -1.3, 1, 0.4], (c) => {
    shadow(c, 0.55, 0.2, 0.1, 0.04);
    const stalks = 11;
    for (let k = 0; k < stalks; k++) {
      const x = (k / (stalks - 1) - 0.5) * 0.8;
      const y = (roll() - 0.5) * 0.2;
      const h = stage === Stage.BARE ? 0.14 + roll() * 0.1 : stage === Stage.GROWING ? 0.5 + roll() * 0.2 : 0.8 + roll() * 0.3;
      const lean = x * 0.35 + (roll() - 0.5) * 0.12;
      line(c, stage === Stage.BARE ? "#b9a860" : k % 2 ? "#84a552" : "#9dba66", 0.05, x, y, x + lean, y - h);
      if (stage === Stage.FULL) {
        blob(c, x + lean, y - h, 0.085, 0.07, "#6f8fd0");
        blob(c, x + lean, y - h - 0.01, 0.04, 0.03, "#dfe8fb");
      }
    }
  });
}
