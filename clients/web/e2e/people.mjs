// What two players do together in the panel of people: friends, gifts, trades; by mouse, by keyboard, and on a phone.
import { demand, Player } from "./stage.mjs";
import { operate, url } from "./world.mjs";

/** What grows, and what is on it. */
export const THINGS = { stones: [4], others: [5, 6], trees: [1, 2, 3] };
const BARE = 2;
/** CSS pixels per metre of a page that nobody has zoomed, and where its camera looks, mm above the own feet. */
const ZOOM = 34;
const CAMERA_UP_MM = 600;
/** Smallest side of what a finger presses, CSS pixels. */
export const FINGER_PX = 44;
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);

/** Clicks the button of the panel that says so. */
export async function press(player, words) {
  const button = player.page.locator("#people button", { hasText: words }).first();
  await button.click();
}

export function shows(player, words) {
  return player.until(`the panel says "${words}"`, (words) => document.getElementById("people").textContent.includes(words), words);
}

export async function badge(player, count) {
  await player.until(`${count} on the button`, (count) => document.querySelector("#peoplebutton b").textContent === count, String(count));
}

export async function amount(player) {
  const bag = await player.ask("bag");
  return Object.fromEntries([...new Set(bag.map(({ item }) => item))].map((item) => [item, bag.filter((s) => s.item === item).reduce((sum, s) => sum + s.count, 0)]));
}

/** Walks to things of these kinds that one can reach in a straight line, and gathers until there are `least` of this item, or of any. */
export async function gatherSome(player, kinds, least, item) {
  const here = await player.ask("position");
  const things = (await player.ask("things")).filter((thing) => kinds.includes(thing.what) && thing.stage !== BARE);
  for (const thing of things.sort((a, b) => distance(a, here) - distance(b, here))) {
    const share = Math.max(0, 1 - 1_500 / distance(thing, here));
    const to = { x: Math.round(here.x + (thing.x - here.x) * share), y: Math.round(here.y + (thing.y - here.y) * share) };
    if (!(await player.ask("isOpen", here.x, here.y, to.x, to.y))) continue;
    await player.walkTo(to.x, to.y);
    let most = 0;
    // What is young gives less, and is bare sooner.
    while (most < least && (await player.ask("gather", thing.cx, thing.cy, thing.index)).ok) {
      const bag = await amount(player);
      most = item === undefined ? Math.max(...Object.values(bag)) : (bag[item] ?? 0);
    }
    await player.walkTo(here.x, here.y);
    if (most >= least) return;
  }
  throw new Error(`${player.name} finds too little of ${kinds} to gather`);
}

/** Walks next to another player, around what is in the way. */
export async function joinUp(player, other) {
  const to = await other.ask("position");
  const way = await player.page.evaluate(route, to);
  if (!way) throw new Error(`no way from ${JSON.stringify(await player.ask("position"))} to ${JSON.stringify(to)}`);
  for (const { x, y } of way) await player.walkTo(x, y);
}

/** Runs in the page: places to walk to, each straight from the one before, the last next to `to`. A search over a grid. */
export function route(to) {
  const [STEP, CLOSE, PLACES_MAX] = [2_000, 2_200, 6_000];
  const open = (a, b) => window.__gundo.isOpen(a.x, a.y, b.x, b.y);
  const first = { ...window.__gundo.position(), from: undefined };
  const seen = new Set(["0/0"]);
  let edge = [{ ...first, i: 0, j: 0 }];
  while (edge.length > 0 && seen.size < PLACES_MAX) {
    const next = [];
    for (const at of edge) {
      if (Math.hypot(at.x - to.x, at.y - to.y) <= CLOSE && open(at, to)) {
        const all = [];
        for (let place = at; place; place = place.from) all.unshift(place);
        // Straight on as far as it is open.
        const way = [];
        for (let here = 0; here < all.length - 1; ) {
          let far = here + 1;
          while (far + 1 < all.length && open(all[here], all[far + 1])) far++;
          way.push({ x: Math.round(all[far].x), y: Math.round(all[far].y) });
          here = far;
        }
        return way;
      }
      for (const [di, dj] of [[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [1, -1], [-1, 1], [-1, -1]]) {
        const place = { x: at.x + di * STEP, y: at.y + dj * STEP, i: at.i + di, j: at.j + dj, from: at };
        const key = `${place.i}/${place.j}`;
        if (seen.has(key) || !open(at, place)) continue;
        seen.add(key);
        next.push(place);
      }
    }
    edge = next;
  }
  return undefined;
}

/** Where another one's figure is on this one's screen, once it stands there. */
async function figure(player, other) {
  const { x: ox, y: oy } = await other.ask("position");
  // The picture is drawn a moment behind what was received.
  await player.until(`${other.name} stands still`, ([name, x, y]) => {
    const seen = window.__gundo.entities().find((entity) => entity.name === name);
    const there = seen !== undefined && Math.hypot(seen.x - x, seen.y - y) <= 20;
    const since = there ? (window.standsSince ?? performance.now()) : undefined;
    window.standsSince = since;
    return since !== undefined && performance.now() - since > 500;
  }, [other.name, ox, oy]);
  await player.page.evaluate(() => delete window.standsSince);
  const [own, { x, y }] = [await player.ask("position"), await player.sees(other)];
  const { width, height } = player.page.viewportSize();
  return { x: width / 2 + ((x - own.x) * ZOOM) / 1_000, y: height / 2 + ((y - own.y + CAMERA_UP_MM - 700) * ZOOM) / 1_000 };
}

/** Closes a panel, whatever it shows: Escape goes back by one page. */
export async function closePanel(player, id = "people") {
  while (await player.page.locator(`#${id}`).isVisible()) {
    await player.page.keyboard.press("Escape");
    // The next look is after what the key has done.
    await player.page.evaluate(() => new Promise(requestAnimationFrame));
  }
}

/** Opens the panel with another one. */
async function openPerson(player, other) {
  await closePanel(player);
  await player.page.click("#peoplebutton");
  await press(player, other.name);
  await shows(player, "Give");
}

/** Puts one thing on the table. */
async function add(player) {
  await player.page.locator("#people button[data-key^=pick]").last().click();
  await player.page.click("#people button[data-key=send]");
}

export async function friends(ada, bea) {
  // Ada gives one and offers two of the same.
  await Promise.all([gatherSome(bea, [...THINGS.stones, ...THINGS.others], 1), gatherSome(ada, THINGS.trees, 3)]);
  await joinUp(bea, ada);
  await ada.page.keyboard.press("p");
  await shows(ada, bea.name);
  await ada.shot("people");
  await press(ada, bea.name);
  await press(ada, "Ask to be friends");
  await shows(ada, "There is no answer yet");
  await badge(bea, 1);
  await bea.page.click("#peoplebutton");
  await shows(bea, "would like to be friends");
  await bea.shot("people-asked");
  await press(bea, "Accept");
  await shows(ada, "Your friend");
  await shows(bea, "near you");
  await badge(bea, 0);
  await ada.shot("people-friend");
  await closePanel(ada);
  demand(await ada.page.isHidden("#people"), "Escape leaves the panel open");
}

/** By mouse in the world, then by keyboard in the panel. */
export async function giving(ada, bea) {
  const at = await figure(ada, bea);
  const before = await amount(bea);
  await ada.page.mouse.click(at.x, at.y);
  await shows(ada, "Your friend");
  const focused = () => ada.page.evaluate(() => document.activeElement?.dataset?.key ?? document.activeElement?.tagName);
  const tabTo = async (key) => {
    for (let k = 0; k < 40 && !(await focused()).startsWith(key); k++) await ada.page.keyboard.press("Tab");
    demand((await focused()).startsWith(key), `Tab does not come to ${key}`);
  };
  await tabTo("give");
  await ada.page.keyboard.press("Enter");
  await shows(ada, `Give to ${bea.name}`);
  await tabTo("pick");
  await ada.page.keyboard.press("Space");
  await tabTo("more");
  await ada.page.keyboard.press("Enter");
  demand((await focused()) === "more", `the focus went to ${await focused()} when the panel changed`);
  await ada.shot("people-give");
  await tabTo("less");
  await ada.page.keyboard.press("Space");
  await tabTo("send");
  await ada.page.keyboard.press("Enter");
  await bea.until("the gift arrives", ([before]) => {
    const sum = (bag) => bag.reduce((sum, { count }) => sum + count, 0);
    return sum(window.__gundo.bag()) === before + 1;
  }, [Object.values(before).reduce((a, b) => a + b, 0)]);
  await shows(ada, "Your friend");
}

/** Offers, a change of mind, a reload in the middle, and both confirm. */
export async function trading(ada, bea) {
  const before = [await amount(ada), await amount(bea)];
  await press(ada, "Trade");
  await shows(ada, `Trade with ${bea.name}`);
  await badge(bea, 1);
  await shows(bea, "would like to trade");
  await bea.shot("people-trade-asked");
  await press(bea, "Open the trade");
  const offers = (player, side, count) =>
    player.until(`${count} on the table`, ([side, count]) => document.querySelector(`#people [data-key^=${side}] b`)?.textContent === String(count), [side, count]);
  await add(ada);
  await offers(bea, "theirs", 1);
  await add(bea);
  await offers(ada, "theirs", 1);
  await press(ada, "Confirm");
  await shows(ada, "Waiting");
  await shows(bea, "✓ confirmed");
  await Promise.all([ada.shot("people-trade"), bea.shot("people-trade")]);
  // A change withdraws the confirmation; a reload changes nothing.
  await add(ada);
  await offers(bea, "theirs", 2);
  await ada.until("nothing is confirmed", () => !document.querySelector("#people section.confirmed"));
  await bea.page.reload();
  await bea.connected();
  await badge(bea, 1);
  await bea.page.click("#peoplebutton");
  await press(bea, "Open the trade");
  await offers(bea, "theirs", 2);
  await press(bea, "Confirm");
  await shows(ada, "✓ confirmed");
  // Ada's node dies as she confirms.
  const { node } = await ada.ask("state");
  await Promise.all([press(ada, "Confirm"), operate(`/admin/nodes/${node}/kill`)]);
  await Promise.all([badge(ada, 0), badge(bea, 0)]);
  const after = [await amount(ada), await amount(bea)];
  const sum = (bag) => Object.values(bag).reduce((a, b) => a + b, 0);
  demand(sum(after[0]) === sum(before[0]) - 1 && sum(after[1]) === sum(before[1]) + 1, `${JSON.stringify(before)} became ${JSON.stringify(after)}`);
  await closePanel(ada);
  await closePanel(bea);
  const came = `node ${node} came`;
  await ada.until("the node is gone", (went) => window.__gundo.changes().includes(went), `node ${node} went`);
  await operate("/admin/nodes");
  await ada.until("the node is back", (came) => window.__gundo.changes().includes(came), came);
}

/** One leaves alone while the other one looks on: that one finds out, and has its things back. */
export async function leftAlone(ada, bea) {
  const before = [await amount(ada), await amount(bea)];
  await openPerson(bea, ada);
  await press(bea, "Trade");
  await shows(bea, `Trade with ${ada.name}`);
  await badge(ada, 1);
  await add(bea);
  demand((await ada.ask("leaveTradeAlone")).ok, "Ada cannot leave alone");
  await badge(ada, 0);
  await press(bea, "Confirm");
  await badge(bea, 0);
  await shows(bea, "People");
  const after = [await amount(ada), await amount(bea)];
  demand(JSON.stringify(before) === JSON.stringify(after), `${JSON.stringify(before)} became ${JSON.stringify(after)}`);
  await closePanel(bea);
}

/** A phone: a finger opens a person, everything is large enough, nothing lies under anything else; then a block. */
export async function phone(ada) {
  const cyd = await Player.arrive(url, `Cyd${ada.name.slice(3)}`, PHONE);
  try {
    await cyd.sayName();
    await cyd.connected();
    await joinUp(ada, cyd);
    await cyd.until("see Ada", (name) => window.__gundo.entities().some((entity) => entity.name === name), ada.name);
    const at = await figure(cyd, ada);
    await cyd.page.touchscreen.tap(at.x, at.y);
    await shows(cyd, "Ask to be friends");
    await fits(cyd);
    await cyd.shot("people-phone");
    await press(cyd, "Trade");
    await shows(cyd, `Trade with ${ada.name}`);
    await fits(cyd);
    await cyd.shot("people-phone-trade");
    // What cannot be done says so, and the other one is not told of a block.
    await ada.page.keyboard.press("p");
    await shows(ada, "would like to trade");
    await press(ada, cyd.name);
    await press(ada, "Block");
    await shows(ada, "Blocked");
    await shows(cyd, "People");
    await press(cyd, ada.name);
    await press(cyd, "Ask to be friends");
    await shows(cyd, "There is no answer yet");
    await badge(ada, 0);
    await ada.shot("people-blocked");
    await press(ada, "Unblock");
    await cyd.page.setViewportSize({ width: 844, height: 390 });
    await fits(cyd);
    await cyd.shot("people-phone-wide");
    await cyd.page.setViewportSize({ width: 320, height: 568 });
    await fits(cyd);
    await cyd.shot("people-phone-small");
    demand(cyd.errors.length === 0, `the phone's page complained: ${cyd.errors.join("; ")}`);
  } finally {
    await closePanel(ada);
    await cyd.leave();
  }
}

/** Nothing of a panel is too small for a finger, outside of the screen, or over what one walks with; and no opener that is shown is too small. */
export async function fits(player, id = "people") {
  const wrong = await player.page.evaluate(([id, finger]) => {
    const box = (element) => element.getBoundingClientRect();
    const panel = box(document.getElementById(id));
    const openers = [...document.querySelectorAll("#openers button")].filter((one) => box(one).width > 0);
    const pressed = [...document.querySelectorAll(`#${id} :is(button, input, textarea)`), ...openers];
    const small = pressed.filter((one) => box(one).width < finger || box(one).height < finger).map((one) => `${one.textContent} is ${box(one).width} x ${box(one).height}`);
    const under = ["stick", "buttons", "bag"].filter((id) => {
      const other = box(document.getElementById(id));
      return other.width > 0 && other.left < panel.right && panel.left < other.right && other.top < panel.bottom && panel.top < other.bottom;
    });
    const off = panel.left < 0 || panel.top < 0 || panel.right > innerWidth || panel.bottom > innerHeight || document.documentElement.scrollWidth > innerWidth;
    return [...small, ...under.map((other) => `it lies over #${other}`), ...(off ? ["it runs off the screen"] : [])];
  }, [id, FINGER_PX]);
  demand(wrong.length === 0, `#${id} at ${JSON.stringify(player.page.viewportSize())}: ${wrong.join("; ")}`);
}
