/** Name tags and chat bubbles over heads. */
import type { Bubble } from "./effects.js";
import type { Context } from "./sprite.js";

const BUBBLE_WIDTH = 220;

/** A name above a figure's head (CSS pixels; `y` is the bottom of the tag). `own`: it is the player's. */
export function drawTag(c: Context, name: string, x: number, y: number, own: boolean, ring: string | undefined): void {
  c.font = "600 12.5px system-ui, sans-serif";
  c.textAlign = "center";
  c.textBaseline = "alphabetic";
  const width = c.measureText(name).width + 14;
  c.fillStyle = own ? "rgba(255,248,228,.92)" : "rgba(28,40,38,.62)";
  c.beginPath();
  c.roundRect(x - width / 2, y - 18, width, 18, 9);
  c.fill();
  if (ring) {
    c.strokeStyle = ring;
    c.lineWidth = 2;
    c.stroke();
  }
  c.fillStyle = own ? "#3b3526" : "#fdf8ec";
  c.fillText(name, x, y - 5);
}

/** A chat bubble above a tag. */
export function drawBubble(c: Context, bubble: Bubble, x: number, y: number, now: number): void {
  c.font = "500 14px system-ui, sans-serif";
  c.textAlign = "center";
  c.textBaseline = "alphabetic";
  const lines = wrap(c, bubble.text, BUBBLE_WIDTH);
  const width = Math.max(...lines.map((line) => c.measureText(line).width)) + 22;
  const height = lines.length * 18 + 12;
  const age = now - bubble.born;
  const grow = Math.min(1, age / 140);
  c.save();
  c.globalAlpha = Math.min(1, Math.max(0, (6_000 - age) / 400));
  c.translate(x, y - 6);
  c.scale(0.7 + grow * 0.3, 0.7 + grow * 0.3);
  c.fillStyle = "rgba(30,40,36,.18)";
  c.beginPath();
  c.roundRect(-width / 2, -height + 2, width, height, 11);
  c.fill();
  c.fillStyle = "#fffdf6";
  c.beginPath();
  c.roundRect(-width / 2, -height, width, height, 11);
  c.moveTo(-6, -0.5);
  c.lineTo(0, 7);
  c.lineTo(6, -0.5);
  c.fill();
  c.fillStyle = "#33403a";
  lines.forEach((line, k) => c.fillText(line, 0, -height + 20 + k * 18));
  c.restore();
}

function wrap(c: Context, text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ").flatMap((word) => word.match(/.{1,24}/gu) ?? [])) {
    const longer = line ? `${line} ${word}` : word;
    if (line && c.measureText(longer).width > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  lines.push(line);
  return lines.slice(0, 5);
}
