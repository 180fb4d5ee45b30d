// The scenes that two players play, Ada and Bea. A scene throws if something is wrong; run.mjs prints what it returns.
// Walks over borders are in walks.mjs.
import { demand, PATIENCE, Player } from "./stage.mjs";
import { nodes, operate, url } from "./world.mjs";

/** Positions on the wire are multiples of 10 mm. */
const STEP_MM = 20;
const TREES = [1, 2, 3];
const FULL = 0;
const WOOD = 1;
const FENCE = 2;

export async function names(ada, bea) {
  await ada.sayName("!?");
  await ada.until("a refusal is shown", () => (document.querySelector(".why")?.textContent ?? "").length > 10);
  await ada.sayName();
  await bea.sayName();
  await Promise.all([ada.connected(), bea.connected()]);
  const [a, b] = await Promise.all([ada.ask("state"), bea.ask("state")]);
  demand(a.node !== b.node, `both are on node ${a.node}`);
  demand(a.words === `Connected to node ${a.node}`, `the page says "${a.words}"`);
  return `nodes ${a.node} and ${b.node}`;
}

export async function takenName(ada) {
  const eve = await Player.arrive(url, "Eve");
  try {
    await eve.sayName(ada.name);
    await eve.until("a refusal is shown", () => (document.querySelector(".why")?.textContent ?? "").length > 10);
    demand((await eve.ask("state")).kind === "name_needed", "a taken name was let in");
  } finally {
    await eve.leave();
  }
}

export async function meeting(ada, bea) {
  await agree(ada, bea);
  await agree(bea, ada);
  await Promise.all([ada.shot("arrived"), bea.shot("arrived")]);
}

export async function walking(walker, watcher) {
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
}

export async function felling(ada, bea) {
  const seen = new Set((await bea.ask("things")).map((thing) => `${thing.cx}/${thing.cy}/${thing.index}`));
  const here = await ada.ask("position");
  const trees = (await ada.ask("things"))
    .filter((thing) => TREES.includes(thing.what) && thing.stage === FULL && seen.has(`${thing.cx}/${thing.cy}/${thing.index}`))
    .sort((a, b) => distance(a, here) - distance(b, here));
  let tree;
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
  for (let strokes = 0; ; strokes++) {
    demand(strokes < 10, "ten strokes and there is still wood on the tree");
    const answer = await ada.ask("gather", tree.cx, tree.cy, tree.index);
    demand(answer.ok || answer.code === "nothing_grown", `gathering was refused: ${answer.code} ${answer.text}`);
    if (!answer.ok) break;
    gained += answer.gained.find((stack) => stack.item === WOOD)?.count ?? 0;
    if (strokes === 0) await ada.shot("gathers");
  }
  // Answers overtake frames: ten of them come within a tick.
  for (const who of [ada, bea]) await who.until("see the tree felled", ([cx, cy, index]) => window.__gundo.things().some((t) => t.cx === cx && t.cy === cy && t.index === index && t.stage === 2), [tree.cx, tree.cy, tree.index]);
  await ada.until("the wood is in the bag", ([item, count]) => window.__gundo.bag().find((s) => s.item === item)?.count === count, [WOOD, before + gained]);
  return `${gained} wood`;
}

export async function building(ada, bea) {
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
}

export async function speaking(ada, bea) {
  await ada.page.keyboard.press("Enter");
  await ada.page.keyboard.type("Hello over there!");
  await ada.page.keyboard.press("Enter");
  await bea.until("read the bubble", () => window.__gundo.bubbles().some((b) => b.text === "Hello over there!"));
  await bea.shot("hears");
}

export async function xray(ada) {
  await ada.page.keyboard.press("x");
  await ada.until("indicators come in", () => /node \d/i.test(document.querySelector("#xray h2")?.textContent ?? ""));
  const text = await ada.page.textContent("#xray");
  for (const word of ["round trip", "longest tick", "KiB/s", "reals / ghosts"]) demand(text.includes(word), `the x-ray panel lacks "${word}"`);
  await ada.shot("xray");
  await ada.page.keyboard.press("x");
}

export async function reload(ada) {
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
}

export async function losingNodes(ada, bea) {
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
  // Whichever node serves them, the page and what it stores stay the same: a visitor comes by the address that he knows.
  const origin = await ada.page.evaluate(() => location.origin);
  for (const what of ["kill", "drain"]) {
    const { node } = await ada.ask("state");
    const answer = ada.ask("say", `Before the ${what}`);
    await operate(`/admin/nodes/${node}/${what}`);
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
    // A drained node ends when it is empty, and only then can it start again.
    const begin = Date.now();
    while (Date.now() - begin < PATIENCE) {
      if ((await nodes()).find((each) => each.node === node).state === "down") break;
      await ada.page.waitForTimeout(100);
    }
    demand((await fetch(origin)).ok, `the page is away after the ${what} of node ${node}`);
    await operate("/admin/nodes");
    await ada.until("the node is back", (node) => window.__gundo.changes().includes(`node ${node} came`), node);
  }
  const fuss = (await ada.page.evaluate(() => window.said)).filter((text) => !text.startsWith("Connected"));
  demand(fuss.length === 0, `the page made a fuss: ${fuss.join("; ")}`);
  const missed = await bea.page.evaluate(() => window.missed);
  demand(missed === 0, `Ada was gone from Bea's picture in ${missed} of the looks taken every 20 ms`);
  await ada.page.keyboard.press("x");
  // Browsers log by themselves that a socket was refused or cut.
  for (const player of [ada, bea]) player.errors = player.errors.filter((error) => !error.includes("WebSocket connection to"));
  return told.join("; ");
}

export async function secondTab(bea) {
  const first = bea.page;
  await bea.open();
  await bea.connected();
  await first.waitForFunction(() => window.__gundo.state().words === "Taken over by another tab", undefined, { timeout: PATIENCE });
  demand((await first.textContent("#card h1")) === "Taken over by another tab", "the first tab hides it");
  await first.close();
}

/** An empty browser, and the code that was written down. */
export async function wayBack(ada) {
  await ada.page.click("#wayback");
  const code = await ada.page.textContent("#card .code");
  demand(/^(\w{5}-){6}\w{5}$/.test(code), `the code is "${code}"`);
  await ada.shot("way-back");
  await ada.page.click("#card button");
  const { id } = await ada.ask("me");
  const other = await Player.arrive(url, ada.name);
  try {
    await other.page.click("#havecode");
    await other.page.fill("#code", code.replace(/\w$/, (last) => (last === "7" ? "8" : "7")));
    await other.page.keyboard.press("Enter");
    await other.until("the mistake is told", () => (document.querySelector(".why")?.textContent ?? "").includes("mistake"));
    await other.page.fill("#code", code.toLowerCase().replaceAll("-", " "));
    await other.page.keyboard.press("Enter");
    await other.connected();
    demand((await other.ask("me")).id === id, "it is another player");
    await ada.page.waitForFunction(() => window.__gundo.state().words === "Taken over by another tab", undefined, { timeout: PATIENCE });
    demand(other.errors.length === 0, `the page complained: ${other.errors.join("; ")}`);
  } finally {
    await other.leave();
  }
}

const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);

/** Waits until `who` sees `other` where `other` thinks it stands. */
async function agree(who, other) {
  const { x, y } = await other.ask("position");
  await who.until(`see ${other.name} at ${x}, ${y}`, ([name, x, y, step]) => window.__gundo.entities().some((e) => e.name === name && Math.hypot(e.x - x, e.y - y) <= step), [other.name, x, y, STEP_MM]);
}
