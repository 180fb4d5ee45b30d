/** The camera: converts metres to pixels and back. */

/** Lowest and highest number of CSS pixels per metre. */
const ZOOM_MIN = 14;
const ZOOM_MAX = 52;

/** See the top of the file. */
export class Camera {
  /** Middle of the picture, mm. */
  x = 0;
  y = 0;
  /** CSS pixels per metre. */
  zoom = 34;
  /** Size of the canvas, CSS pixels. */
  width = 0;
  height = 0;
  /** Device pixels per CSS pixel. */
  ratio = 1;

  /** Fits the canvas to its box; more than two device pixels per CSS pixel cost time and look the same. */
  fit(canvas: HTMLCanvasElement): void {
    this.ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.width = canvas.clientWidth;
    this.height = canvas.clientHeight;
    const width = Math.round(this.width * this.ratio);
    const height = Math.round(this.height * this.ratio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
  }

  /** Zooms by a factor. */
  zoomBy(factor: number): void {
    this.zoom = Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, this.zoom * factor));
  }

  /** Sets `c` so that one unit is a metre and (0, 0) the point (x, y), mm. */
  at(c: CanvasRenderingContext2D, x: number, y: number): void {
    const k = this.zoom * this.ratio;
    c.setTransform(k, 0, 0, k, this.screenX(x) * this.ratio, this.screenY(y) * this.ratio);
  }

  /** Sets `c` to CSS pixels. */
  flat(c: CanvasRenderingContext2D): void {
    c.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
  }

  /** CSS pixel of a place, mm. */
  screenX(x: number): number {
    return this.width / 2 + ((x - this.x) * this.zoom) / 1_000;
  }
  screenY(y: number): number {
    return this.height / 2 + ((y - this.y) * this.zoom) / 1_000;
  }

  /** The place under a CSS pixel, mm. */
  worldX(px: number): number {
    return this.x + ((px - this.width / 2) * 1_000) / this.zoom;
  }
  worldY(py: number): number {
    return this.y + ((py - this.height / 2) * 1_000) / this.zoom;
  }

  /** Whether something at a place, which extends `margin` m around it, is in the picture. */
  sees(x: number, y: number, margin: number): boolean {
    const m = margin * 1_000;
    const halfW = (this.width * 500) / this.zoom + m;
    const halfH = (this.height * 500) / this.zoom + m;
    return Math.abs(x - this.x) < halfW && Math.abs(y - this.y) < halfH;
  }
}
