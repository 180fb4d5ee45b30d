/** Buildings: hut, fence, campfire and market stall, and the fire's flicker. Units: metres; the foot is the middle of the ground plan. */
import { Building } from "./gen/pioneer_pb.js";
import { blob, line, makeSprite, shadow, shape, Shelf, type Context, type Sprite } from "./sprite.js";

const shelf = new Shelf();

/** The picture of a building. */
export function buildingSprite(what: Building, rotation: number): Sprite {
  const turned = rotation % 2;
  return shelf.take(`${what}/${what === Building.HUT ? rotation % 4 : turned}`, () => {
    if (what === Building.HUT) return makeSprite([-3.7, -5.6, 4.4, 3.8], (c) => hut(c, turned ? 2.4 : 3, turned ? 3 : 2.4, rotation));
    if (what === Building.FENCE) return turned ? makeSprite([-0.4, -2.5, 0.8, 1.7], fenceAlong) : makeSprite([-1.6, -1.3, 1.8, 0.5], fenceAcross);
    if (what === Building.STALL) return makeSprite([-1.8, -2.6, 2, 1.6], (c) => stall(c, turned ? 0.7 : 1.2, turned ? 1.2 : 0.7));
    return makeSprite([-1, -0.8, 1.1, 0.8], campfire);
  });
}

/** How far its southern side is from the middle, m: this decides the order of drawing. */
export function buildingFoot(what: Building, rotation: number): number {
  if (what === Building.HUT) return rotation % 2 ? 3 : 2.4;
  if (what === Building.STALL) return rotation % 2 ? 1.2 : 0.7;
  return what === Building.FENCE && rotation % 2 ? 1.2 : 0.1;
}

function hut(c: Context, w: number, d: number, rotation: number): void {
  const wall = 1.75;
  const eave = 0.35;
  c.save();
  c.translate(0.35, d - 0.3);
  shadow(c, w * 1.05, 0.9, 0.2, 0);
  c.restore();
  c.fillStyle = "rgba(20,30,40,.22)";
  c.fillRect(-w + 0.3, -d + 0.5, w * 2 + 0.25, d * 2 - 0.35);
  // South wall, of logs.
  for (let k = 0; k < 6; k++) {
    const y = d - wall + (k * wall) / 6;
    c.fillStyle = k % 2 ? "#b07f4f" : "#a87747";
    c.fillRect(-w, y, w * 2, wall / 6 + 0.01);
    c.fillStyle = "rgba(70,42,22,.35)";
    c.fillRect(-w, y + wall / 6 - 0.04, w * 2, 0.04);
  }
  for (const x of [-w, w]) for (let k = 0; k < 6; k++) blob(c, x * 0.985, d - wall + ((k + 0.5) * wall) / 6, 0.12, 0.12, k % 2 ? "#d2a574" : "#c69863");
  if (rotation !== 2) door(c, rotation === 0 ? 0 : rotation === 1 ? -w * 0.45 : w * 0.45, d);
  for (const x of rotation === 2 ? [-w * 0.5, w * 0.5] : [rotation === 0 ? -w * 0.62 : w * (rotation === 1 ? 0.45 : -0.45)]) pane(c, x, d - wall * 0.55);
  // Roof: two slopes over the whole plan.
  const top = -d - 1.6;
  const edge = d - wall + 0.25;
  const ridge = (top + edge) / 2 - 0.35;
  shape(c, "#8c5a3c", -w - eave, top, w + eave, top, w + eave - 0.1, ridge, -w - eave + 0.1, ridge);
  shape(c, "#b06f45", -w - eave + 0.1, ridge, w + eave - 0.1, ridge, w + eave, edge, -w - eave, edge);
  for (let k = 0; k < 5; k++) {
    const y = ridge + ((edge - ridge) * (k + 1)) / 5;
    line(c, "rgba(82,44,24,.4)", 0.05, -w - eave, y, w + eave, y);
    for (let x = -w - eave + (k % 2) * 0.3; x < w + eave; x += 0.6) line(c, "rgba(82,44,24,.28)", 0.04, x, y, x, y - (edge - ridge) / 5);
  }
  for (let k = 1; k < 4; k++) line(c, "rgba(50,26,16,.3)", 0.05, -w - eave, top + ((ridge - top) * k) / 4, w + eave, top + ((ridge - top) * k) / 4);
  line(c, "#c98b5c", 0.12, -w - eave + 0.1, ridge, w + eave - 0.1, ridge);
  line(c, "rgba(40,20,12,.45)", 0.1, -w - eave, edge + 0.04, w + eave, edge + 0.04);
  // Chimney.
  c.fillStyle = "#7d7975";
  c.fillRect(w * 0.45, ridge - 1, 0.55, 0.95);
  c.fillStyle = "#9c9791";
  c.fillRect(w * 0.45, ridge - 1, 0.3, 0.95);
  c.fillStyle = "#5e5b58";
  c.fillRect(w * 0.45 - 0.06, ridge - 1.06, 0.67, 0.16);
}

function door(c: Context, x: number, d: number): void {
  c.fillStyle = "#5d3c24";
  c.fillRect(x - 0.45, d - 1.35, 0.9, 1.35);
  c.fillStyle = "#7c5230";
  for (const k of [-1, 0, 1]) c.fillRect(x - 0.12 + k * 0.26, d - 1.28, 0.22, 1.28);
  blob(c, x + 0.28, d - 0.65, 0.05, 0.05, "#e5c16c");
}

function pane(c: Context, x: number, y: number): void {
  c.fillStyle = "#5d3c24";
  c.fillRect(x - 0.36, y - 0.32, 0.72, 0.64);
  c.fillStyle = "#ffdf91";
  c.fillRect(x - 0.28, y - 0.24, 0.56, 0.48);
  c.fillStyle = "#5d3c24";
  c.fillRect(x - 0.03, y - 0.24, 0.06, 0.48);
  c.fillRect(x - 0.28, y - 0.03, 0.56, 0.06);
}

function post(c: Context, x: number, y: number): void {
  c.fillStyle = "#8a6242";
  c.fillRect(x - 0.09, y - 0.95, 0.18, 0.98);
  c.fillStyle = "#a67a53";
  c.fillRect(x - 0.09, y - 0.95, 0.09, 0.98);
  blob(c, x, y - 0.95, 0.1, 0.06, "#c4976b");
}

function fenceAcross(c: Context): void {
  shadow(c, 1.35, 0.18, 0.12, 0.03);
  for (const y of [-0.68, -0.36]) {
    c.fillStyle = "#9b7049";
    c.fillRect(-1.3, y, 2.6, 0.15);
    c.fillStyle = "#bb8d61";
    c.fillRect(-1.3, y, 2.6, 0.07);
  }
  for (const x of [-1.2, -0.4, 0.4, 1.2]) post(c, x, 0.05);
}

function fenceAlong(c: Context): void {
  c.fillStyle = "rgba(20,30,40,.22)";
  c.fillRect(0, -1.2, 0.4, 2.5);
  for (const y of [-1.2, -0.4, 0.4, 1.2]) {
    post(c, 0, y);
    if (y > 1) continue;
    c.fillStyle = "#9b7049";
    c.fillRect(-0.05, y - 0.68, 0.1, 0.82);
    c.fillStyle = "#bb8d61";
    c.fillRect(-0.05, y - 0.68, 0.05, 0.82);
  }
  post(c, 0, 1.25);
}

function campfire(c: Context): void {
  shadow(c, 0.75, 0.4, 0.05, 0.05);
  blob(c, 0, 0.02, 0.58, 0.36, "#3c332e");
  for (let k = 0; k < 11; k++) {
    const angle = (k / 11) * Math.PI * 2;
    const x = Math.cos(angle) * 0.6;
    const y = 0.02 + Math.sin(angle) * 0.38;
    blob(c, x, y, 0.15, 0.11, "#77736f");
    blob(c, x - 0.02, y - 0.035, 0.11, 0.065, "#a5a19b");
  }
  line(c, "#6b4a30", 0.15, -0.34, 0.12, 0.3, -0.14);
  line(c, "#7d5839", 0.15, 0.34, 0.13, -0.3, -0.13);
  blob(c, 0, 0.0, 0.2, 0.12, "#e8743a");
}

/** A counter under an awning in stripes, open to the south. */
function stall(c: Context, w: number, d: number): void {
  shadow(c, w * 1.1, 0.4, 0.18, d - 0.25);
  c.fillStyle = "rgba(20,30,40,.2)";
  c.fillRect(-w + 0.15, -d + 0.2, w * 2 + 0.15, d * 2 - 0.1);
  const roof = -d - 1.35;
  const eave = d - 1.35;
  for (const x of [-w + 0.08, w - 0.2]) {
    c.fillStyle = "#7c5634";
    c.fillRect(x, eave - 0.1, 0.13, 1.45);
    c.fillStyle = "#a67a53";
    c.fillRect(x, eave - 0.1, 0.06, 1.45);
  }
  // The counter, with what is for sale.
  c.fillStyle = "#8a6242";
  c.fillRect(-w + 0.05, d - 0.72, w * 2 - 0.1, 0.72);
  for (let x = -w + 0.05; x < w - 0.1; x += 0.3) line(c, "rgba(70,42,22,.35)", 0.03, x, d - 0.72, x, d);
  c.fillStyle = "#c69863";
  c.fillRect(-w - 0.02, d - 0.84, w * 2 + 0.04, 0.17);
  const wares: [string, number][] = [["#b8492c", 0.12], ["#d9a441", 0.14], ["#6f9a4a", 0.12], ["#8f8a84", 0.13]];
  wares.forEach(([colour, r], k) => blob(c, -w + 0.32 + (k * (w * 2 - 0.64)) / 3, d - 0.9, r, r * 0.85, colour));
  // The awning: stripes from ridge to eave, and a scalloped edge.
  const stripes = Math.max(4, Math.round(w * 2 / 0.3));
  const side = (w * 2 + 0.4) / stripes;
  for (let k = 0; k < stripes; k++) {
    const x = -w - 0.2 + k * side;
    const colour = k % 2 ? "#f6ead0" : "#c4553a";
    shape(c, colour, x * 0.94, roof, (x + side) * 0.94, roof, x + side + 0.005, eave, x - 0.005, eave);
    blob(c, x + side / 2, eave, side / 2, 0.13, colour);
  }
  line(c, "rgba(60,20,10,.28)", 0.05, -w - 0.2, eave - 0.02, w + 0.2, eave - 0.02);
  line(c, "rgba(255,255,255,.35)", 0.06, (-w - 0.2) * 0.94, roof + 0.04, (w + 0.2) * 0.94, roof + 0.04);
}

/** The flame of a campfire at a time, ms. `seed` keeps fires out of step. */
export function drawFlame(c: Context, time: number, seed: number): void {
  const t = time / 1_000 + seed;
  const layers: [string, number, number][] = [["rgba(226,88,34,.92)", 0.34, 0.95], ["rgba(247,150,46,.95)", 0.24, 0.7], ["rgba(255,225,120,.95)", 0.14, 0.44]];
  for (const [colour, w, h] of layers) {
    const tall = h * (0.88 + 0.12 * Math.sin(t * 11 + w * 9) + 0.07 * Math.sin(t * 23));
    const lean = 0.08 * Math.sin(t * 7.3 + w * 5);
    c.fillStyle = colour;
    c.beginPath();
    c.moveTo(-w, 0);
    c.bezierCurveTo(-w, -tall * 0.45, -w * 0.3 + lean, -tall * 0.55, lean * 1.6, -tall);
    c.bezierCurveTo(w * 0.35 + lean, -tall * 0.5, w, -tall * 0.42, w, 0);
    c.quadraticCurveTo(0, 0.14, -w, 0);
    c.fill();
  }
  for (let k = 0; k < 4; k++) {
    const life = (t * 0.7 + k * 0.25 + seed) % 1;
    blob(c, Math.sin(t * 3 + k * 2.1) * 0.22 * (0.4 + life), -0.5 - life * 1.3, 0.035 * (1 - life), 0.035 * (1 - life), `rgba(255,190,90,${1 - life})`);
  }
}

/** Strength of a fire's light at a time, around 1. */
export function flicker(time: number, seed: number): number {
  const t = time / 1_000 + seed;
  return 1 + 0.06 * Math.sin(t * 9) + 0.04 * Math.sin(t * 17 + 1);
}
