// Walks over borders, between chunks and between the nodes that own the land: nobody may notice them.
import { demand } from "./stage.mjs";

/** An own-move gap may last two ticks of 100 ms. */
const TICK_MS = 100;
const GAP_TICKS = 2;
/**
 * A browser that draws without a graphics card on a shared core stalls from time to time, and sends no moves meanwhile.
 * A gap that the page caused is not the server's. If a walk has a gap of the page longer than this, ms, it is judged
 * only by the moves it did send, and does not count as walked.
 */
const STEADY_MS = 150;
/** On the network a move may be late by this much, ms, */
const LATE_MS = 50;
/** and frames may stay unread in the page for this long, ms. */
const UNREAD_MS = 250;
/**
 * A noticeable border is noticed at every crossing; a server that did not get the core for a moment is not. So one late
 * walk is forgiven if three others, also over borders, were on time.
 */
const LATE_WALKS_MAX = 1;
/** Walks to try until enough borders were crossed at a steady pace. */
const WALKS_MAX = 14;

/** Walking across borders without a gap. */
export async function acrossBorders(ada) {
  let borders = 0;
  let chunks = 0;
  let longest = { ms: 0, ticks: 0, sent: 0 };
  const correctionsBefore = await ada.ask("corrections");
  let [unsteady, clean] = [0, 0];
  const late = [];
  for (let walk = 0; walk < WALKS_MAX && (borders < 1 || chunks < 4 || clean < late.length * 3); walk++) {
    const way = await crossing(ada, borders < 1 ? 1 : 0);
    demand(way, borders < 1 ? "no border between nodes in sight can be walked over" : "Ada stands where no way leads on");
    for (const leg of way.legs) await ada.walkTo(leg.x, leg.y, 3_000);
    await ada.ask("resetOwnMotion");
    await ada.walkTo(way.x, way.y, 3_000);
    const { gapMsMax: ms, gapTicksMax: ticks, sentGapMsMax: sent, updates } = await ada.ask("ownMotion");
    demand(updates > 20, `only ${updates} news of the own body on a long walk`);
    const ticksMax = Math.max(GAP_TICKS, Math.ceil((sent + LATE_MS) / TICK_MS));
    const msMax = Math.max(GAP_TICKS * TICK_MS, sent) + UNREAD_MS;
    if (ticks > ticksMax || ms > msMax) {
      late.push(`${ticks} ticks, ${ms.toFixed(0)} ms with ${sent.toFixed(0)} ms between moves sent`);
      demand(late.length <= LATE_WALKS_MAX, `own-move gaps of ${late.join("; ")}`);
      continue;
    }
    if (sent > STEADY_MS) {
      unsteady++;
      continue;
    }
    longest = { ms: Math.max(longest.ms, ms), ticks: Math.max(longest.ticks, ticks), sent: Math.max(longest.sent, sent) };
    clean++;
    borders += way.borders;
    chunks += way.chunks;
  }
  demand(clean >= late.length * 3, `an own-move gap of ${late[0]}, and too few steady walks to call it an accident`);
  demand(borders >= 1, `no border between nodes was crossed at a steady pace; on ${unsteady} of ${WALKS_MAX} walks the page stalled`);
  demand(chunks >= 4, `only ${chunks} borders between chunks were crossed`);
  const corrections = (await ada.ask("corrections")) - correctionsBefore;
  demand(corrections === 0, `${corrections} corrections on open ground`);
  await ada.shot("walked");
  return `${chunks} chunk and ${borders} node borders, longest gap ${longest.ticks} ticks, ${longest.ms.toFixed(0)} ms; between moves sent ${longest.sent.toFixed(0)} ms; ${unsteady} unsteady walks left out${late.length ? `, one late: ${late[0]}` : ""}`;
}

/**
 * A straight walk over a border between land owners, or, once `borders` is 0, over one between chunks: the nearest that
 * open ground leads to, with the places to pass on the way to its start. Undefined if there is none on the land in
 * sight.
 */
async function crossing(player, borders) {
  return player.page.evaluate(([borders, metres, cell]) => {
    const open = window.__gundo.isOpen;
    const owner = new Map(window.__gundo.lands().map((land) => [`${land.cx}/${land.cy}`, land.publisher]));
    const chunk = (x, y) => `${Math.floor(x / 30000)}/${Math.floor(y / 30000)}`;
    const straight = (from) => {
      const found = [];
      for (let k = 0; k < 32; k++) {
        const [dx, dy] = [Math.cos((k / 32) * Math.PI * 2), Math.sin((k / 32) * Math.PI * 2)];
        const to = { x: Math.round(from.x + dx * metres * 1000), y: Math.round(from.y + dy * metres * 1000) };
        if (!open(from.x, from.y, to.x, to.y)) continue;
        const chunks = [];
        for (let m = 0; m <= metres; m++) {
          const at = chunk(from.x + dx * m * 1000, from.y + dy * m * 1000);
          if (chunks.at(-1) !== at) chunks.push(at);
        }
        const owners = chunks.map((at) => owner.get(at)).filter((node) => node !== undefined);
        found.push({ ...to, chunks: chunks.length - 1, borders: owners.filter((node, i) => i > 0 && node !== owners[i - 1]).length });
      }
      return found.filter((way) => way.chunks > 0 && way.borders >= borders).sort((a, b) => b.borders - a.borders || b.chunks - a.chunks)[0];
    };
    // Breadth first over a grid of open steps, from where the player stands.
    const first = { ...window.__gundo.position(), back: undefined };
    const reached = new Set([`0/0`]);
    const queue = [{ ...first, i: 0, j: 0 }];
    for (const from of queue) {
      const way = straight(from);
      if (way) {
        const legs = [];
        for (let at = from; at.back; at = at.back) legs.unshift({ x: at.x, y: at.y });
        return { legs, ...way };
      }
      for (const [di, dj] of [[1, 0], [0, 1], [-1, 0], [0, -1], [1, 1], [-1, 1], [-1, -1], [1, -1]]) {
        const [i, j] = [from.i + di, from.j + dj];
        const to = { x: first.x + i * cell, y: first.y + j * cell, i, j, back: from };
        if (reached.has(`${i}/${j}`) || !owner.has(chunk(to.x, to.y)) || !open(from.x, from.y, to.x, to.y)) continue;
        reached.add(`${i}/${j}`);
        queue.push(to);
      }
    }
    return undefined;
  }, [borders, 40, 8_000]);
}
