// One player alone: everything by keyboard, what an assistive program sees, other layouts and input methods, less motion, a phone.
import { connect, createServer } from "node:net";
import axe from "axe-core";
import { demand, PATIENCE, Player } from "./stage.mjs";
import { FINGER_PX, PHONE } from "./people.mjs";
import { url } from "./world.mjs";

/** Runs axe over the page as it is; what it finds fails the scene. */
async function look(player, what) {
  await player.page.evaluate(axe.source);
  const { violations } = await player.page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const found = violations.map(({ id, help, nodes }) => `${id} (${help}): ${nodes.map(({ target, failureSummary }) => `${target.join(" ")} ${failureSummary}`).join("; ")}`);
  demand(found.length === 0, `${what}: ${found.join("\n")}`);
}

const focused = (player) => player.page.evaluate(() => document.activeElement?.getAttribute("data-key") ?? document.activeElement?.id ?? "");
const shown = (player, id) => player.page.evaluate((id) => !document.getElementById(id).hidden, id);

/** Presses Tab until the focus is where `there` says; returns the ids and keys it has passed. */
async function tabTo(player, there, most = 60) {
  const passed = [];
  for (let k = 0; k < most; k++) {
    await player.page.keyboard.press("Tab");
    passed.push(await focused(player));
    const ring = await player.page.evaluate(() => document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle !== "none" || getComputedStyle(document.activeElement).borderColor === "rgb(77, 154, 99)");
    demand(ring, `nobody sees that ${passed.at(-1)} has the focus`);
    if (there(passed.at(-1))) return passed;
  }
  throw new Error(`Tab does not come there: ${passed.join(", ")}`);
}

/** Comes ashore with keys alone. Behind the dialog, keys do nothing. */
export async function ashore(gil) {
  await gil.page.waitForSelector("#name", { timeout: PATIENCE });
  await look(gil, "the name dialog");
  await tabTo(gil, (id) => id === "havecode", 8);
  for (const key of ["b", "c", "p", "m"]) await gil.page.keyboard.press(key);
  for (const id of ["panel", "people"]) demand(!(await shown(gil, id)), `#${id} opens behind the dialog`);
  await gil.page.keyboard.press("Enter");
  await gil.page.waitForSelector("#code", { timeout: PATIENCE });
  await look(gil, "the dialog for a code");
  await gil.page.locator("#card .link").focus();
  await gil.page.keyboard.press("Space");
  await gil.page.waitForSelector("#name", { timeout: PATIENCE });
  demand((await focused(gil)) === "name", "the name has the focus");
  await gil.page.keyboard.type(gil.name);
  await gil.page.keyboard.press("Enter");
  await gil.connected();
}

/** Every panel and every button of the page, by keys; the focus is seen, and survives that what has it is drawn again. */
export async function panels(gil) {
  await gil.until("a line says what to try first", () => document.getElementById("guide").textContent.startsWith("Walk with W A S D"));
  await look(gil, "the island");
  await gil.shot("ashore");
  await gil.page.keyboard.press("c");
  await gil.until("the panel is open", () => !document.getElementById("panel").hidden);
  await look(gil, "craft");
  await tabTo(gil, (id) => id === "recipe1");
  await gil.page.keyboard.press("Enter");
  await gil.until("a word why not", () => document.getElementById("toasts").textContent !== "");
  demand((await focused(gil)) === "recipe1", "the focus stays on the recipe");
  await gil.page.keyboard.press("b");
  await tabTo(gil, (id) => id === "building1");
  await gil.page.keyboard.press("Space");
  demand((await focused(gil)) === "building1", "the focus stays on the building, drawn again as chosen");
  await look(gil, "build");
  await gil.page.keyboard.press("Escape");
  await gil.page.keyboard.press("Escape");
  demand(!(await shown(gil, "panel")), "Escape closes the panel");
  for (const [key, id] of [["p", "people"], ["l", "mail"], ["g", "people"]]) {
    await gil.page.keyboard.press(key);
    await gil.until(`${id} is open`, (id) => !document.getElementById(id).hidden, id);
    await look(gil, id);
    await tabTo(gil, (at) => at === "close");
    await gil.page.keyboard.press("Enter");
    demand(!(await shown(gil, id)), `${id} closes by its button`);
  }
  await tabTo(gil, (id) => id === "wayback");
  await gil.page.keyboard.press("Enter");
  await gil.page.waitForSelector("#card .code", { timeout: PATIENCE });
  await look(gil, "the way back");
  await gil.page.keyboard.press("Enter");
  demand((await focused(gil)) === "wayback", "the focus goes back to what opened the dialog");
  await gil.page.keyboard.press("x");
  await look(gil, "x-ray");
  await gil.page.keyboard.press("x");
  // A button that was clicked does not keep the keys.
  await gil.page.click("#peoplebutton");
  await gil.page.keyboard.press("Escape");
  await gil.page.evaluate(() => document.activeElement?.blur());
}

const moves = async (player) => {
  const [before, after] = [await player.ask("position"), (await player.page.waitForTimeout(400), await player.ask("position"))];
  return Math.hypot(after.x - before.x, after.y - before.y) > 50;
};

/** A key that is held when the keyboard goes elsewhere does not stick. */
export async function nothingSticks(gil) {
  const { x, y } = await gil.ask("position");
  const ways = [["d", 1, 0], ["a", -1, 0], ["w", 0, -1], ["s", 0, 1]];
  const open = await gil.page.evaluate(([x, y, ways]) => ways.filter(([, dx, dy]) => window.__gundo.isOpen(x, y, x + dx * 12_000, y + dy * 12_000)).map(([key]) => key), [x, y, ways]);
  const leave = {
    "opening the chat": async () => void (await gil.page.keyboard.press("Enter")),
    "another window": () => gil.page.evaluate(() => window.dispatchEvent(new Event("blur"))),
    "another tab": () => gil.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange"))),
    "a meta key": () => gil.page.evaluate(() => window.dispatchEvent(new KeyboardEvent("keydown", { code: "MetaLeft", key: "Meta", metaKey: true }))),
  };
  const [key] = open;
  demand(key, "there is room to walk");
  for (const [what, away] of Object.entries(leave)) {
    await gil.page.keyboard.down(key);
    await gil.until("walking", ([x, y]) => Math.hypot(window.__gundo.position().x - x, window.__gundo.position().y - y) > 300, await gil.ask("position").then(({ x, y }) => [x, y]));
    await away();
    demand(!(await moves(gil)), `${what}: the key sticks`);
    await gil.page.keyboard.up(key);
    await gil.page.keyboard.press("Escape");
    await gil.ask("walkTo", x, y);
    await gil.until("back", () => !window.__gundo.walking());
  }
}

/** An input method writes, cancels a word and confirms one; what was said stays to be read, with the name. */
export async function talking(gil) {
  await gil.page.keyboard.press("Enter");
  await gil.until("the line is open", () => document.activeElement?.matches("#chat input"));
  await look(gil, "chat");
  const cdp = await gil.context.newCDPSession(gil.page);
  await cdp.send("Input.imeSetComposition", { text: "안", selectionStart: 1, selectionEnd: 1 });
  // Escape is for the word, and not for the line.
  await gil.page.evaluate(() => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { code: "Escape", key: "Escape", isComposing: true, bubbles: true })));
  demand(await shown(gil, "chat"), "cancelling a word closed the line");
  await cdp.send("Input.imeSetComposition", { text: "안녕", selectionStart: 2, selectionEnd: 2 });
  await cdp.send("Input.insertText", { text: "안녕하세요" });
  await gil.page.keyboard.type(" <b>all</b>");
  await gil.page.keyboard.press("Enter");
  await gil.until("the line is read in the log", (name) => document.getElementById("talk").textContent === `${name}안녕하세요 <b>all</b>`, gil.name);
  await gil.shot("talk");
  await gil.page.keyboard.press("Enter");
  await gil.page.keyboard.press("Escape");
  demand(!(await shown(gil, "chat")), "Escape closes the line");
}

/** The page names keys as they are printed; walking stays where it is. */
export async function layouts(gil) {
  const page = await gil.context.newPage();
  await page.addInitScript(() => {
    const azerty = new Map([["KeyW", "z"], ["KeyA", "q"], ["KeyS", "s"], ["KeyD", "d"], ["KeyM", ","], ["KeyE", "e"]]);
    Object.defineProperty(navigator, "keyboard", { value: { getLayoutMap: async () => azerty } });
  });
  try {
    await page.goto(url);
    await page.waitForFunction(() => document.getElementById("keys").textContent.includes("walk"), undefined, { timeout: PATIENCE });
    const text = await page.textContent("#keys");
    demand(text.startsWith("ZQSDwalk") && text.includes("Egather") && text.includes("Mmap"), `on a French keyboard the page says ${text}`);
  } finally {
    await page.close();
  }
  // The newer page of the two has taken over.
  await gil.page.click("#card button");
  await gil.connected();
}

/** On a phone: what fingers press is large enough, one thumb walks while the other acts, the chat line is above the keyboard, people may zoom. */
export async function phone(name) {
  const player = await Player.arrive(url, name, PHONE);
  try {
    await player.sayName();
    await player.connected();
    await look(player, "a phone");
    await player.shot("phone");
    const small = await player.page.evaluate((least) => [...document.querySelectorAll("#buttons button, #openers button")].filter((b) => b.offsetParent && Math.min(b.offsetWidth, b.offsetHeight) < least).map((b) => b.textContent), FINGER_PX);
    demand(small.length === 0, `too small for fingers: ${small.join(", ")}`);
    const cdp = await player.context.newCDPSession(player.page);
    const middle = (selector) => player.page.evaluate((selector) => {
      const box = document.querySelector(selector).getBoundingClientRect();
      return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    }, selector);
    const stick = await middle("#stick");
    const thumb = { ...stick, x: stick.x + 30, id: 1 };
    await cdp.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [{ ...stick, id: 1 }] });
    await cdp.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: [thumb] });
    const craft = await middle("#buttons button:nth-child(3)");
    await cdp.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [thumb, { ...craft, id: 2 }] });
    await cdp.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [thumb] });
    await player.until("the second thumb opens the recipes", () => !document.getElementById("panel").hidden);
    await cdp.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
    await player.shot("phone-craft");
    await player.page.evaluate(() => document.documentElement.style.setProperty("--keyboard", "320px"));
    await player.page.locator("#buttons button", { hasText: "Say" }).tap();
    await player.until("the chat line", () => document.activeElement?.matches("#chat input"));
    const chat = await player.page.evaluate(() => {
      const line = document.querySelector("#chat input");
      const box = line.getBoundingClientRect();
      return { size: parseFloat(getComputedStyle(line).fontSize), below: innerHeight - box.bottom, on: line.contains(document.elementFromPoint(box.x + 20, box.y + 8)) };
    });
    demand(chat.size >= 16 && chat.below >= 320 && chat.on, `the chat line is ${JSON.stringify(chat)}`);
    await player.shot("phone-chat");
    const meta = await player.page.getAttribute("meta[name=viewport]", "content");
    demand(!/maximum-scale|user-scalable/.test(meta), "people may not zoom");
    demand(player.errors.length === 0, player.errors.join("; "));
  } finally {
    await player.leave();
  }
}

/** What the page says when nobody answers, when the connection is lost and when it comes back; what was typed is kept. The proxy is Playwright's. */
export async function lostConnection(name) {
  const player = await Player.arrive("about:blank", name);
  let broken = true;
  const cuts = new Set();
  try {
    await player.context.routeWebSocket(/\/ws/, (socket) => {
      if (broken) return socket.close();
      const server = socket.connectToServer();
      const cut = () => (server.close(), socket.close());
      cuts.add(cut);
      socket.onClose(() => (cuts.delete(cut), server.close()));
    });
    await player.page.goto(url);
    await player.sayName();
    await player.until("a card says that nobody answers", () => document.getElementById("cardtitle")?.textContent === "Nobody answers");
    await look(player, "nobody answers");
    await player.shot("nobody-answers");
    broken = false;
    await player.page.keyboard.press("Enter");
    await player.connected();
    demand(!(await shown(player, "cover")), "the card goes by itself");
    await player.page.keyboard.press("Enter");
    await player.page.keyboard.type("Is anybody");
    broken = true;
    for (const cut of cuts) cut();
    await player.until("the picture is dim", () => document.body.classList.contains("dim"));
    await player.shot("dim");
    const status = await player.page.textContent("#status span");
    demand(/lost/.test(status), `the status says "${status}"`);
    await player.page.keyboard.type(" there?");
    await player.page.keyboard.press("Enter");
    await player.until("a word why not", () => document.getElementById("toasts").textContent.includes("connection is lost"));
    demand((await player.page.inputValue("#chat input")) === "Is anybody there?", "what was typed is lost");
    broken = false;
    await player.until("all is well again", () => !document.body.classList.contains("dim") && document.querySelector("#status span").textContent === "Connected");
    await player.page.keyboard.press("Enter");
    await player.until("it is said", () => document.getElementById("talk").textContent.endsWith("Is anybody there?"));
    // Longer than anybody waits in patience: the page's clock, not ours.
    broken = true;
    for (const cut of cuts) cut();
    await player.until("a card", () => document.getElementById("cardtitle")?.textContent === "The connection is lost" && !document.getElementById("cover").hidden, undefined, 40_000);
    await look(player, "the connection is lost");
    broken = false;
    await player.page.keyboard.press("Enter");
    await player.until("back", () => window.__gundo.state().kind === "connected" && document.getElementById("cover").hidden);
    const errors = player.errors.filter((error) => !error.includes("WebSocket"));
    demand(errors.length === 0, errors.join("; "));
  } finally {
    await player.leave();
  }
}

/** A port that leads to the world until it is shut. */
class Way {
  static async open(port = 0) {
    const way = new Way();
    way.sockets = new Set();
    way.server = createServer((client) => {
      const server = connect(Number(new URL(url).port) || 80, new URL(url).hostname);
      for (const [one, other] of [[client, server], [server, client]]) {
        way.sockets.add(one);
        one.pipe(other);
        one.on("error", () => other.destroy()).on("close", () => (way.sockets.delete(one), other.destroy()));
      }
    });
    await new Promise((ready, failed) => way.server.once("error", failed).listen(port, "127.0.0.1", ready));
    return way;
  }

  get port() {
    return this.server.address().port;
  }

  shut() {
    const shut = new Promise((done) => this.server.close(done));
    for (const socket of this.sockets) socket.destroy();
    return shut;
  }
}

/** The server that the page came from is away: a reload shows the page all the same, and comes back when it can. */
export async function reloadWithoutServer(name) {
  let way = await Way.open();
  const player = await Player.arrive(`http://127.0.0.1:${way.port}/`, name);
  try {
    await player.sayName();
    await player.connected();
    await player.until("the page is kept", async () => (await caches.keys()).includes("page") && (await (await caches.open("page")).keys()).length === 3);
    const { port } = way;
    await way.shut();
    await player.page.reload();
    await player.until("a card says that nobody answers", () => document.getElementById("cardtitle")?.textContent === "Nobody answers");
    way = await Way.open(port);
    await player.page.keyboard.press("Enter");
    await player.connected();
    demand((await player.ask("me")).name === name, "somebody else came back");
  } finally {
    await player.leave();
    await way.shut();
  }
}
