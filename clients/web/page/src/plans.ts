/** Ground plans of buildings, and paths that cross them: the server's rules, in whole millimetres. */
import type { BuildingInfo } from "./gen/pioneer_pb.js";

/** An upright rectangle, mm. The smaller sides are inside, the larger are not. */
export interface Rect {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

/** The ground plan of a building around its middle. */
export function plan(info: BuildingInfo, x: number, y: number, rotation: number): Rect {
  const across = rotation % 2 === 1;
  const width = across ? info.depthMm : info.widthMm;
  const depth = across ? info.widthMm : info.depthMm;
  const x0 = x - Math.trunc(width / 2);
  const y0 = y - Math.trunc(depth / 2);
  return { x0, y0, x1: x + Math.trunc(width / 2), y1: y + Math.trunc(depth / 2) };
}

/** The rectangle made larger on every side. */
export function grown(r: Rect, by: number): Rect {
  return { x0: r.x0 - by, y0: r.y0 - by, x1: r.x1 + by, y1: r.y1 + by };
}

/** Whether a point is inside. */
export function contains(r: Rect, x: number, y: number): boolean {
  return x >= r.x0 && x < r.x1 && y >= r.y0 && y < r.y1;
}

/** Whether two rectangles share ground; touching sides do not. */
export function overlaps(a: Rect, b: Rect): boolean {
  return a.x1 > b.x0 && b.x1 > a.x0 && a.y1 > b.y0 && b.y1 > a.y0;
}

/** Distance from a point to the nearest point of the rectangle, mm. */
export function distanceTo(r: Rect, x: number, y: number): number {
  return Math.hypot(x - Math.min(Math.max(x, r.x0), r.x1), y - Math.min(Math.max(y, r.y0), r.y1));
}

/** Whether the straight path leads into or through the inside. */
export function crosses(r: Rect, ax: number, ay: number, bx: number, by: number): boolean {
  const box = { x0: Math.min(ax, bx), y0: Math.min(ay, by), x1: Math.max(ax, bx) + 1, y1: Math.max(ay, by) + 1 };
  if (!overlaps(r, box)) return false;
  if (ax === bx && ay === by) return true;
  // The boxes overlap: they miss each other only if all corners lie on one side of the line.
  const side = (x: number, y: number) => (bx - ax) * (y - ay) - (by - ay) * (x - ax);
  const corners = [side(r.x0, r.y0), side(r.x1, r.y0), side(r.x0, r.y1), side(r.x1, r.y1)];
  return corners.some((s) => s > 0) && corners.some((s) => s < 0);
}
