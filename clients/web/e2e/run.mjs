// Plays Pioneer in headless Chromium against a running server. GUNDO_URLS: the pages of at least two of its nodes, with commas
// between (or as arguments); GUNDO_ADMIN_TOKEN: what is in admin.token of the world's data directory, for a node is killed and
// added again; CHROMIUM: the browser, default /usr/bin/chromium. Pictures go to target/e2e.
import { demand, PATIENCE, Player } from "./stage.mjs";

/** An own-move gap may last two ticks of 100 ms. */
const TICK_MS = 100;
const GAP_TICKS = 2;
/**
 * A browser that draws without a graphics card on a shared core stalls now and then, and sends no moves meanwhile: what the
 * page itself left out is not the server's gap. Walks on which it left out more than this, ms, are judged by what it
 * did send, and do not count as walked.
 */
const STEADY_MS = 150;
/** On the way a move may be late by this much, ms, */
const LATE_MS = 50;
/** and frames may lie unread in the page for this long, ms. */
const UNREAD_MS = 250;
/**
 * A border that is felt is felt at every crossing, a server that did not get the core for a moment is not: one late walk is
 * forgiven if three others, over borders too, were not late.
 */
const LATE_WALKS_MAX = 1;
/** Walks tried until enough borders were crossed at a steady pace. */
const WALKS_MAX = 14;
/** Bodies are told in steps of 10 mm. */
const STEP_MM = 20;
const TREES = [1, 2, 3];
const FULL = 0;
const BARE = 2;
const WOOD = 1;
const FENCE = 2;

const urls = (process.env.GUNDO_URLS ?? process.argv.slice(2).join(",")).split(",").filter(Boolean);
if (urls.length < 2) {
  console.error("set GUNDO_URLS to the pages of at least two nodes: http://127.0.0.1:7600,http://127.0.0.1:7601");
  process.exit(2);
}

const token = process.env.GUNDO_ADMIN_TOKEN;
if (!token) {
  console.error("set GUNDO_ADMIN_TOKEN to what is in admin.token of the world's data directory");
  process.exit(2);
}

const players = [];
let failed = false;

async function scene(title, play) {
  const begin = Date.now();
  try {
    const seen = await play();
    console.log(`ok    ${title}${seen ? `: ${seen}` : ""} (${((Date.now() - begin) / 1_000).toFixed(1)} s)`);
  } catch (error) {
    console.log(`FAIL  ${title}: ${error.message}`);
    for (const player of players) await player.shot("failed").catch(() => undefined);
    throw error;
  }
}

/** Asks the world to do something to its nodes, by a node that is to stay. */
async function operate(url, path) {
  const answer = await fetch(new URL(path, url), { method: "POST", headers: { authorization: `Bearer ${token}` } });
  demand(answer.ok, `${path} was answered with ${answer.status}: ${await answer.text()}`);
}

const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);

/** Waits until `who` sees `other` where `other` believes to stand. */
async function agree(who, other) {
  const { x, y } = await other.ask("position");
  await who.until(`see ${other.name} at ${x}, ${y}`, ([name, x, y, step]) => window.__gundo.entities().some((e) => e.name === name && Math.hypot(e.x - x, e.y - y) <= step), [other.name, x, y, STEP_MM]);
}

/**
 * A straight walk over a border between land owners, or, once `borders` is 0, over one between chunks: the nearest that open
 * ground leads to, with the places to pass on the way to its start. Undefined if there is none on the land in sight.
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

async function run() {
  const tail = String(Date.now() % 1e6).padStart(6, "0");
  const [ada, bea] = await Promise.all([Player.arrive(urls[0], `Ada${tail}`), Player.arrive(urls[1], `Bea${tail}`)]);
  players.push(ada, bea);

  await scene("names: odd ones are refused in words, good ones step ashore", async () => {
    await ada.sayName("!?");
    await ada.until("a refusal is shown", () => (document.querySelector(".why")?.textContent ?? "").length > 10);
    await ada.sayName();
    await bea.sayName();
    await Promise.all([ada.connected(), bea.connected()]);
    const [a, b] = await Promise.all([ada.ask("state"), bea.ask("state")]);
    demand(a.node !== b.node, `both are on node ${a.node}`);
    demand(a.words === `Connected to node ${a.node}`, `the page says "${a.words}"`);
    return `nodes ${a.node} and ${b.node}`;
  });

  await scene("a name somebody has is refused", async () => {
    const eve = await Player.arrive(urls[0], "Eve");
    try {
      await eve.sayName(ada.name);
      await eve.until("a refusal is shown", () => (document.querySelector(".why")?.textContent ?? "").length > 10);
      demand((await eve.ask("state")).kind === "name_needed", "a taken name was let in");
    } finally {
      await eve.leave();
    }
  });

  await scene("they see each other where they stand", async () => {
    await agree(ada, bea);
    await agree(bea, ada);
    await Promise.all([ada.shot("arrived"), bea.shot("arrived")]);
  });

  for (const [walker, watcher] of [[ada, bea], [bea, ada]]) {
    await scene(`${walker.name} walks by keys, ${watcher.name} sees it`, async () => {
      const before = await watcher.sees(walker);
      const from = await walker.ask("position");
      const [key] = await walker.page.evaluate(() => {
        const { x, y } = window.__gundo.position();
        const open = (dx, dy) => window.__gundo.isOpen(x, y, x + dx * 9000, y + dy * 9000);
        return [["d", 1, 0], ["a", -1, 0], ["w", 0, -1], ["s", 0, 1]].filter(([, dx, dy]) => open(dx, dy)).map(([key]) => key);
      });
      await walker.page.keyboard.down(key);
      await watcher.until(`see ${walker.name} on the way`, ([name, x, y]) => window.__gundo.entities().some((e) => e.name === name && Math.hypot(e.x - x, e.y - y) > 4000), [walker.name, before.x, before.y]);
      await walker.page.keyboard.up(key);
      await agree(watcher, walker);
      return `${(distance(from, await walker.ask("position")) / 1_000).toFixed(1)} m`;
    });
  }

  let tree;
  await scene("Ada fells a tree, Bea sees it fall", async () => {
    const seen = new Set((await bea.ask("things")).map((thing) => `${thing.cx}/${thing.cy}/${thing.index}`));
    const here = await ada.ask("position");
    const trees = (await ada.ask("things"))
      .filter((thing) => TREES.includes(thing.what) && thing.stage === FULL && seen.has(`${thing.cx}/${thing.cy}/${thing.index}`))
      .sort((a, b) => distance(a, here) - distance(b, here));
    for (const candidate of trees) {
      const away = distance(candidate, here);
      const share = Math.max(0, (away - 1_500) / away);
      const to = { x: Math.round(here.x + (candidate.x - here.x) * share), y: Math.round(here.y + (candidate.y - here.y) * share) };
      if (!(await ada.ask("isOpen", here.x, here.y, to.x, to.y))) continue;
      tree = candidate;
      await ada.walkTo(to.x, to.y);
      break;
    }
    demand(tree, "there is no tree both see and Ada can walk to");
    const before = (await ada.ask("bag")).find((stack) => stack.item === WOOD)?.count ?? 0;
    let gained = 0;
    const stage = (who) => who.page.evaluate(([cx, cy, index]) => window.__gundo.things().find((t) => t.cx === cx && t.cy === cy && t.index === index)?.stage, [tree.cx, tree.cy, tree.index]);
    demand((await stage(bea)) === FULL, "Bea does not see the tree full");
    for (let strokes = 0; (await stage(ada)) !== BARE; strokes++) {
      demand(strokes < 10, "ten strokes and the tree still stands");
      const answer = await ada.ask("gather", tree.cx, tree.cy, tree.index);
      demand(answer.ok || answer.code === "nothing_grown", `gathering was refused: ${answer.code} ${answer.text}`);
      if (answer.ok) gained += answer.gained.find((stack) => stack.item === WOOD)?.count ?? 0;
      if (strokes === 0) await ada.shot("gathers");
    }
    await bea.until("see the tree felled", ([cx, cy, index]) => window.__gundo.things().some((t) => t.cx === cx && t.cy === cy && t.index === index && t.stage === 2), [tree.cx, tree.cy, tree.index]);
    await ada.until("the wood is in the bag", ([item, count]) => window.__gundo.bag().find((s) => s.item === item)?.count === count, [WOOD, before + gained]);
    return `${gained} wood`;
  });

  await scene("Ada builds a fence with mouse and keys, Bea sees it", async () => {
    const answer = await ada.ask("craft", 1, 1);
    demand(answer.ok, `crafting was refused: ${answer.code} ${answer.text}`);
    const me = await ada.ask("me");
    await ada.page.keyboard.press("b");
    await ada.page.keyboard.press("2");
    const mine = () => ada.page.evaluate((id) => window.__gundo.buildings().filter((b) => b.owner === id).length, me.id);
    const spots = [[0, 130], [130, 60], [-130, 60], [0, -150], [150, -80], [-150, -80], [190, 150], [-190, 150]];
    for (const [dx, dy] of spots) {
      await ada.page.mouse.move(480 + dx, 340 + dy);
      await ada.page.mouse.click(480 + dx, 340 + dy);
      await ada.page.waitForTimeout(600);
      if ((await mine()) > 0) break;
    }
    demand((await mine()) === 1, `${await mine()} fences after clicking around`);
    await ada.page.keyboard.press("Escape");
    await ada.page.keyboard.press("Escape");
    const [fence] = (await ada.ask("buildings")).filter((b) => b.owner === me.id);
    demand(fence.what === FENCE, "something else was built");
    await bea.until("see the fence", (id) => window.__gundo.buildings().some((b) => b.owner === id), me.id);
    await ada.shot("built");
    const refused = await bea.ask("demolish", fence.cx, fence.cy, fence.index);
    demand(!refused.ok && ["not_owner", "too_far"].includes(refused.code), `Bea could take it down: ${JSON.stringify(refused)}`);
  });

  await scene("Ada speaks, Bea reads", async () => {
    await ada.page.keyboard.press("Enter");
    await ada.page.keyboard.type("Hello over there!");
    await ada.page.keyboard.press("Enter");
    await bea.until("read the bubble", () => window.__gundo.bubbles().some((b) => b.text === "Hello over there!"));
    await bea.shot("hears");
  });

  await scene("x-ray: node, round trip and owners", async () => {
    await ada.page.keyboard.press("x");
    await ada.until("indicators come in", () => /node \d/i.test(document.querySelector("#xray h2")?.textContent ?? ""));
    const text = await ada.page.textContent("#xray");
    for (const word of ["round trip", "longest tick", "KiB/s", "reals / ghosts"]) demand(text.includes(word), `the x-ray panel lacks "${word}"`);
    await ada.shot("xray");
    await ada.page.keyboard.press("x");
  });

  await scene("walking across borders without a gap", async () => {
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
    demand(clean >= late.length * 3, `an own-move gap of ${late[0]}, and too few steady walks to call it chance`);
    demand(borders >= 1, `no border between nodes was crossed at a steady pace; on ${unsteady} of ${WALKS_MAX} walks the page stalled`);
    demand(chunks >= 4, `only ${chunks} borders between chunks were crossed`);
    const corrections = (await ada.ask("corrections")) - correctionsBefore;
    demand(corrections === 0, `${corrections} corrections on open ground`);
    await ada.shot("walked");
    return `${chunks} chunk and ${borders} node borders, longest gap ${longest.ticks} ticks, ${longest.ms.toFixed(0)} ms; between moves sent ${longest.sent.toFixed(0)} ms; ${unsteady} unsteady walks left out${late.length ? `, one late: ${late[0]}` : ""}`;
  });

  await scene("a reload resumes the same player", async () => {
    const [me, at, bag] = [await ada.ask("me"), await ada.ask("position"), await ada.ask("bag")];
    await ada.page.reload();
    await ada.connected();
    const again = await ada.ask("me");
    demand(again.id === me.id && again.name === me.name, `${JSON.stringify(me)} came back as ${JSON.stringify(again)}`);
    const back = await ada.ask("position");
    demand(distance(at, back) <= STEP_MM, `stood at ${at.x}, ${at.y} and came back at ${back.x}, ${back.y}`);
    demand(JSON.stringify(await ada.ask("bag")) === JSON.stringify(bag), "the bag changed");
    const answer = await ada.ask("say", "Back again");
    demand(answer.ok, `the first command after the reload was refused: ${answer.code}`);
  });

  await scene("Ada's node is killed under her, and the next one drained: she plays on elsewhere and nobody notices", async () => {
    const me = await ada.ask("me");
    await ada.page.keyboard.press("x");
    // What a person would see: the status line, and Ada in Bea's picture.
    await ada.page.evaluate(() => {
      const status = document.querySelector("#status span");
      window.said = [];
      new MutationObserver(() => window.said.push(status.textContent)).observe(status, { childList: true, characterData: true, subtree: true });
    });
    await bea.page.evaluate((id) => {
      window.missed = 0;
      setInterval(() => (window.missed += window.__gundo.entities().some((e) => e.id === id) ? 0 : 1), 20);
    }, me.id);
    const told = [];
    for (const what of ["kill", "drain"]) {
      const { node } = await ada.ask("state");
      const other = urls.find((_, k) => k + 1 !== node);
      const answer = ada.ask("say", `Before the ${what}`);
      await operate(other, `/admin/nodes/${node}/${what}`);
      await ada.until("connected elsewhere", (node) => window.__gundo.state().kind === "connected" && window.__gundo.state().node !== node, node);
      const said = await answer;
      demand(said.ok, `what she said as it happened was refused: ${said.code}`);
      const again = await ada.ask("say", `After the ${what}`);
      demand(again.ok, `the first command afterwards was refused: ${again.code} ${again.text}`);
      const to = await ada.page.evaluate(() => {
        const { x, y } = window.__gundo.position();
        const ways = [[4_000, 0], [-4_000, 0], [0, 4_000], [0, -4_000]].map(([dx, dy]) => ({ x: x + dx, y: y + dy }));
        return ways.find((way) => window.__gundo.isOpen(x, y, way.x, way.y));
      });
      demand(to, "Ada stands where no way leads on");
      await ada.walkTo(to.x, to.y);
      await agree(bea, ada);
      await ada.until("the x-ray view tells", (node) => window.__gundo.changes().some((line) => line.startsWith(`node ${node} → `)) && window.__gundo.changes().includes(`node ${node} went`), node);
      await ada.shot(what);
      told.push((await ada.ask("changes")).find((line) => line.startsWith(`node ${node} → `)));
      // A drained node ends when it is empty, and only then can it be started again.
      const begin = Date.now();
      while (Date.now() - begin < PATIENCE) {
        const { nodes } = await (await fetch(new URL("/admin/nodes", other), { headers: { authorization: `Bearer ${token}` } })).json();
        if (nodes.find((each) => each.node === node).state === "down") break;
        await ada.page.waitForTimeout(100);
      }
      await operate(other, "/admin/nodes");
      await ada.until("the node is back", (node) => window.__gundo.changes().includes(`node ${node} came`), node);
    }
    const fuss = (await ada.page.evaluate(() => window.said)).filter((text) => !text.startsWith("Connected"));
    demand(fuss.length === 0, `the page made a fuss: ${fuss.join("; ")}`);
    const missed = await bea.page.evaluate(() => window.missed);
    demand(missed === 0, `Ada was gone from Bea's picture in ${missed} of the looks taken every 20 ms`);
    await ada.page.keyboard.press("x");
    // Browsers say by themselves that a socket was refused or cut.
    for (const player of players) player.errors = player.errors.filter((error) => !error.includes("WebSocket connection to"));
    return told.join("; ");
  });

  await scene("a second tab takes over, the first says so", async () => {
    const first = bea.page;
    await bea.open();
    await bea.connected();
    await first.waitForFunction(() => window.__gundo.state().words === "Taken over by another tab", undefined, { timeout: PATIENCE });
    demand((await first.textContent("#card h1")) === "Taken over by another tab", "the first tab hides it");
    await first.close();
  });

  for (const player of players) demand(player.errors.length === 0, `${player.name}'s page complained: ${player.errors.join("; ")}`);
}

try {
  await run();
  console.log("all scenes played");
} catch (error) {
  failed = true;
  console.error(error.stack);
  for (const player of players) if (player.errors.length) console.error(`${player.name}'s page: ${player.errors.join("\n")}`);
} finally {
  await Promise.all(players.map((player) => player.leave()));
}
process.exit(failed ? 1 : 0);
