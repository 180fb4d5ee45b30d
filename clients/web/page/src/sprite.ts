/** Small pictures drawn once and kept: everything that stands on the ground is one of them. Units: metres. */

/** Pixels kept per metre: sharp up to the closest zoom on ordinary screens. */
const DENSITY = 56;

/** A picture with its foot at (0, 0), y growing downwards. */
export interface Sprite {
  readonly canvas: HTMLCanvasElement;
  /** Left and top edge relative to the foot, m. */
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The target of the drawing functions. */
export type Context = CanvasRenderingContext2D;

/** Draws a sprite once: `box` is [left, top, right, bottom] around the foot. */
export function makeSprite(box: readonly [number, number, number, number], draw: (c: Context) => void): Sprite {
  const [left, top, right, bottom] = box;
  const canvas = document.createElement("canvas");
  canvas.width = Math.ceil((right - left) * DENSITY);
  canvas.height = Math.ceil((bottom - top) * DENSITY);
  const c = canvas.getContext("2d");
  if (!c) throw new Error("this browser cannot draw");
  c.scale(DENSITY, DENSITY);
  c.translate(-left, -top);
  c.lineCap = "round";
  c.lineJoin = "round";
  draw(c);
  return { canvas, left, top, width: right - left, height: bottom - top };
}

/** Sprites by name, each made when first requested. */
export class Shelf {
  private readonly sprites = new Map<string, Sprite>();

  /** The sprite `name`. */
  take(name: string, make: () => Sprite): Sprite {
    let sprite = this.sprites.get(name);
    if (!sprite) this.sprites.set(name, (sprite = make()));
    return sprite;
  }
}

/** Puts a sprite with its foot at the origin of `c`. */
export function put(c: Context, sprite: Sprite): void {
  c.drawImage(sprite.canvas, sprite.left, sprite.top, sprite.width, sprite.height);
}

/** Fills an ellipse. */
export function blob(c: Context, x: number, y: number, rx: number, ry: number, fill: string, turn = 0): void {
  c.fillStyle = fill;
  c.beginPath();
  c.ellipse(x, y, rx, ry, turn, 0, Math.PI * 2);
  c.fill();
}

/** Fills a shape of straight lines. */
export function shape(c: Context, fill: string, ...points: number[]): void {
  c.fillStyle = fill;
  c.beginPath();
  c.moveTo(points[0]!, points[1]!);
  for (let k = 2; k < points.length; k += 2) c.lineTo(points[k]!, points[k + 1]!);
  c.closePath();
  c.fill();
}

/** Draws a line. */
export function line(c: Context, stroke: string, width: number, ...points: number[]): void {
  c.strokeStyle = stroke;
  c.lineWidth = width;
  c.beginPath();
  c.moveTo(points[0]!, points[1]!);
  for (let k = 2; k < points.length; k += 2) c.lineTo(points[k]!, points[k + 1]!);
  c.stroke();
}

/** A soft shadow on the ground, lying towards the south-east. */
export function shadow(c: Context, rx: number, ry: number, x = rx * 0.3, y = 0.02): void {
  const g = c.createRadialGradient(0, 0, 0, 0, 0, 1);
  g.addColorStop(0, "rgba(20,30,40,.36)");
  g.addColorStop(0.65, "rgba(20,30,40,.26)");
  g.addColorStop(1, "rgba(20,30,40,0)");
  c.save();
  c.translate(x, y);
  c.scale(rx * 1.15, ry * 1.15);
  c.fillStyle = g;
  c.beginPath();
  c.arc(0, 0, 1, 0, Math.PI * 2);
  c.fill();
  c.restore();
}

/** A colour made brighter (`by` > 0) or darker, as hsl. */
export function hsl(h: number, s: number, l: number): string {
  return `hsl(${h.toFixed(0)} ${s.toFixed(0)}% ${l.toFixed(0)}%)`;
}
