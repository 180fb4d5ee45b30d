// The picture of the meadow on a canvas, in metres around the own gardener.

const PIXELS_PER_M = 30;
export const MM_PER_PIXEL = 1_000 / PIXELS_PER_M;
/** How far a gardener reaches: the light circle. */
const REACH_M = 2;
let pen;

/** Paints `things` (flowers, and gardeners with a name) around `me`; places are in mm. */
export function draw(canvas, me, things) {
  const dpr = devicePixelRatio;
  const size = [Math.round(innerWidth * dpr), Math.round(innerHeight * dpr)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  pen = canvas.getContext("2d");
  const [x, y] = [me.x / 1_000, me.y / 1_000];
  const [right, down] = [innerWidth / PIXELS_PER_M / 2, innerHeight / PIXELS_PER_M / 2];
  const scale = PIXELS_PER_M * dpr;
  pen.setTransform(scale, 0, 0, scale, (right - x) * scale, (down - y) * scale);
  pen.fillStyle = "#9cc47c";
  pen.fillRect(x - right, y - down, right * 2, down * 2);
  for (let gx = Math.floor(x - right) - 1; gx < x + right + 1; gx++) {
    for (let gy = Math.floor(y - down) - 1; gy < y + down + 1; gy++) grass(gx, gy);
  }
  disc("#ffffff26", x, y, REACH_M);
  things.sort((a, b) => a.y - b.y);
  for (const thing of things) (thing.name ? gardener : flower)(thing, thing.x / 1_000, thing.y / 1_000);
}

function disc(colour, x, y, rx, ry = rx) {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.ellipse(x, y, rx, ry, 0, 0, Math.PI * 2);
  pen.fill();
}

function line(colour, width, ...points) {
  [pen.strokeStyle, pen.lineWidth, pen.lineCap, pen.lineJoin] = [colour, width, "round", "round"];
  pen.beginPath();
  for (const [x, y] of points) pen.lineTo(x, y);
  pen.stroke();
}

/** Grass on some square metres: the place alone decides, so it stays where it is. */
function grass(x, y) {
  const chance = Math.abs(Math.sin(x * 127.1 + y * 311.7) * 43_758.5) % 1;
  if (chance > 0.35) return;
  [x, y] = [x + chance * 2.5, y + ((chance * 57) % 1)];
  line("#7fae62", 0.06, [x - 0.12, y - 0.2], [x, y], [x + 0.02, y - 0.28], [x, y], [x + 0.15, y - 0.18]);
}

function flower({ planted_at, ripe }, x, y) {
  disc("#6b4a2b80", x, y, 0.2, 0.09);
  const top = y - (ripe ? 0.75 : 0.5);
  line("#2f6b2c", 0.08, [x, y], [x, top]);
  line("#2f6b2c", 0.11, [x - 0.2, y - 0.3], [x, y - 0.12], [x + 0.2, y - 0.27]);
  if (!ripe) return disc("#d8e88f", x, top, 0.12, 0.17);
  const hue = (270 + (Number(planted_at) % 150)) % 360; // no green: one would not see it
  for (let petal = 0; petal < 6; petal++) {
    const angle = (petal / 3) * Math.PI;
    disc(`hsl(${hue} 75% 60%)`, x + Math.cos(angle) * 0.18, top + Math.sin(angle) * 0.18, 0.13);
  }
  disc("#ffe27a", x, top, 0.12);
}

function gardener({ name, flowers, isMine }, x, y) {
  disc("#00000026", x, y, 0.42, 0.18);
  disc(isMine ? "#c4573c" : "#4a6fb0", x, y - 0.5, 0.34, 0.5);
  disc("#f0c9a0", x, y - 1.1, 0.27);
  disc("#e3c05a", x, y - 1.26, 0.46, 0.13);
  disc("#e3c05a", x, y - 1.34, 0.25, 0.2);
  for (let k = 0; k < Math.min(flowers, 5); k++) disc("#e0559a", x - 0.2 + k * 0.1, y - 0.6 - (k % 2) * 0.1, 0.09);
  [pen.font, pen.textAlign, pen.strokeStyle, pen.lineWidth, pen.fillStyle] = ["600 0.5px system-ui, sans-serif", "center", "#fffdf4", 0.12, "#24352a"];
  pen.strokeText(name, x, y - 1.7);
  pen.fillText(name, x, y - 1.7);
}
