// Browsers, players and timeouts: what every scene needs.
import { mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const SHOTS = process.env.GUNDO_SHOTS ?? resolve(dirname(fileURLToPath(import.meta.url)), "../../../target/e2e");
/** How long anything may take, ms: two browsers draw without a graphics card beside the server. */
export const PATIENCE = 20_000;

mkdirSync(SHOTS, { recursive: true });

export function demand(holds, what) {
  if (!holds) throw new Error(what);
}

/** A browser with one player's storage. */
export class Player {
  /** `device`: how its screen differs from a desktop's, as Playwright says it. */
  static async arrive(url, name, device = {}) {
    const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
    const context = await browser.newContext({ viewport: { width: 960, height: 640 }, ...device });
    const player = new Player(browser, context, url, name);
    await player.open();
    return player;
  }

  constructor(browser, context, url, name) {
    Object.assign(this, { browser, context, url, name, errors: [] });
  }

  /** Opens the page; from now on the player acts in it. */
  async open() {
    this.page = await this.context.newPage();
    this.page.on("pageerror", (error) => this.errors.push(String(error.stack ?? error)));
    this.page.on("console", (message) => message.type() === "error" && this.errors.push(message.text()));
    await this.page.goto(this.url);
  }

  /** Types a name into the dialog. */
  async sayName(name = this.name) {
    await this.page.waitForSelector("#name", { timeout: PATIENCE });
    await this.page.fill("#name", name);
    await this.page.keyboard.press("Enter");
  }

  /** Calls a hook of the page. */
  ask(hook, ...args) {
    return this.page.evaluate(([hook, args]) => window.__gundo[hook](...args), [hook, args]);
  }

  /** Waits until a condition holds in the page. `what` goes into the error. */
  async until(what, condition, arg, timeout = PATIENCE) {
    try {
      await this.page.waitForFunction(condition, arg, { timeout, polling: 50 });
    } catch {
      await this.shot("failed");
      throw new Error(`${this.name} waited ${timeout} ms in vain: ${what}; state ${JSON.stringify(await this.ask("state"))}, at ${JSON.stringify(await this.ask("position"))}`);
    }
  }

  connected() {
    return this.until("connected", () => window.__gundo.state().kind === "connected" && window.__gundo.lands().length > 0);
  }

  /** Walks straight to a place; fails if it does not get there. */
  async walkTo(x, y, within = 1_500) {
    await this.ask("walkTo", x, y);
    await this.until(`walk to ${x}, ${y}`, () => !window.__gundo.walking(), undefined, 60_000);
    const at = await this.ask("position");
    demand(Math.hypot(at.x - x, at.y - y) <= within, `${this.name} was to walk to ${x}, ${y} and stands at ${at.x}, ${at.y}`);
  }

  /** Where another player is in this one's picture. */
  async sees(other) {
    return (await this.ask("entities")).find((entity) => entity.name === other.name);
  }

  async shot(what) {
    await this.page.screenshot({ path: join(SHOTS, `${this.name.replace(/\d+$/, "").toLowerCase()}-${what}.png`) });
  }

  async leave() {
    await this.browser.close();
  }
}
