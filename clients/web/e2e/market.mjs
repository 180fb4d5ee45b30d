// Letters to somebody whose browser is closed, and a stall that sells while its owner's browser is closed; by mouse, by keyboard, and
// on a phone.
import { amount, fits, PHONE, route } from "./people.mjs";
import { demand, Player } from "./stage.mjs";
import { give, url } from "./world.mjs";

const STALL = 60;
const PLANKS = 1;
const WOOD = 1;

const total = (bag) => Object.values(bag).reduce((a, b) => a + b, 0);

async function press(player, panel, words) {
  await player.page.locator(`#${panel} button`, { hasText: words }).first().click();
}

/** Presses the button with this key. */
async function pressKey(player, panel, key) {
  await player.page.locator(`#${panel} button[data-key^="${key}"]`).first().click();
}

function shows(player, panel, words) {
  return player.until(`#${panel} says "${words}"`, ([panel, words]) => document.getElementById(panel).textContent.includes(words), [panel, words]);
}

function unread(player, count) {
  return player.until(`${count} unread letters`, (count) => {
    const b = document.querySelector("#mailbutton b");
    return (b.hidden ? "0" : b.textContent) === count;
  }, String(count));
}

function has(player, count) {
  return player.until(`${count} things in the bag`, (count) => window.__gundo.bag().reduce((sum, stack) => sum + stack.count, 0) === count, count);
}

async function comeBack(player) {
  await player.open();
  await player.connected();
  await player.until("the mailbox is known", () => !document.getElementById("mailbutton").hidden);
}

/** Closes the panel at the side, whatever it shows. */
async function closeSide(player) {
  while (await player.page.locator("#people:visible, .side:visible").count()) {
    // What one writes in has the focus: Escape leaves it as well.
    await player.page.keyboard.press("Escape");
    await player.page.evaluate(() => new Promise(requestAnimationFrame));
  }
}

/** Eve writes to Fin, whose browser is closed. Fin finds the letter, reads it, takes what is in it, and the next one goes back. */
export async function letters(eve, fin) {
  if (total(await amount(eve)) < 2) await give(eve, 2, "berry");
  const before = [total(await amount(eve)), total(await amount(fin))];
  await fin.page.close();
  // By keyboard, and to a name.
  await eve.page.keyboard.press("l");
  await shows(eve, "mail", "No letters");
  const focused = () => eve.page.evaluate(() => document.activeElement?.dataset?.key ?? document.activeElement?.tagName);
  const tabTo = async (key) => {
    for (let k = 0; k < 40 && !(await focused()).startsWith(key); k++) await eve.page.keyboard.press("Tab");
    demand((await focused()).startsWith(key), `Tab does not come to ${key}`);
  };
  await tabTo("write");
  await eve.page.keyboard.press("Enter");
  await tabTo("INPUT");
  await eve.page.keyboard.type(fin.name);
  await tabTo("TEXTAREA");
  await eve.page.keyboard.type("For you, while you are away: walk west and cut pines.");
  await tabTo("pick");
  await eve.page.keyboard.press("Space");
  await tabTo("putin");
  await eve.page.keyboard.press("Enter");
  await shows(eve, "mail", "In the letter");
  await eve.shot("mail-write");

  await pressKey(eve, "mail", "send");
  await has(eve, before[0] - 1);
  // To oneself: refused, and nothing is lost of what one wrote.
  await press(eve, "mail", "Write a letter");
  await eve.page.fill("#mail input", eve.name);
  await eve.page.fill("#mail textarea", "Remember the milk.");
  await pressKey(eve, "mail", "send");
  await eve.until("a refusal is shown", () => document.querySelector("#toasts .no"));
  demand((await eve.page.inputValue("#mail textarea")) === "Remember the milk.", "what was written is lost");
  await eve.page.fill("#mail textarea", "");
  await closeSide(eve);

  await comeBack(fin);
  await unread(fin, 1);
  await fin.page.click("#mailbutton");
  await shows(fin, "mail", eve.name);
  await fin.shot("mail");
  await pressKey(fin, "mail", "letter");
  await shows(fin, "mail", "walk west and cut pines");
  await unread(fin, 0);
  await fin.shot("mail-letter");
  await press(fin, "mail", "Take");
  await has(fin, before[1] + 1);
  await press(fin, "mail", "Throw it away");
  await shows(fin, "mail", "No letters");
  await closeSide(fin);

  // One from the panel of people goes back.
  await eve.page.click("#peoplebutton");
  await press(eve, "people", fin.name);
  await press(eve, "people", "Write a letter");
  await shows(eve, "mail", `To ${fin.name}`);
  demand(await eve.page.isHidden("#people"), "two panels are open");
  await pressKey(eve, "mail", "pick");
  await pressKey(eve, "mail", "putin");
  await pressKey(eve, "mail", "send");
  await unread(fin, 1);
  await closeSide(eve);
  await fin.page.click("#mailbutton");
  await pressKey(fin, "mail", "letter");
  await press(fin, "mail", "Send it back");
  await closeSide(fin);
  await unread(eve, 1);
  await eve.page.click("#mailbutton");
  await pressKey(eve, "mail", "letter");
  await shows(eve, "mail", "came back");
  await eve.shot("mail-back");
  await press(eve, "mail", "Take");
  await has(eve, before[0] - 1);
  await press(eve, "mail", "Throw it away");
  await closeSide(eve);
}

/** Walks next to a place, around what is in the way. */
async function standAt(player, { x, y }) {
  for (let k = 0; k < 8; k++) {
    const to = { x: Math.round(x + 2_200 * Math.cos((k * Math.PI) / 4)), y: Math.round(y + 2_200 * Math.sin((k * Math.PI) / 4)) };
    const way = await player.page.evaluate(route, to);
    if (!way) continue;
    for (const step of way) await player.walkTo(step.x, step.y);
    const at = await player.ask("position");
    if (Math.hypot(at.x - x, at.y - y) < 3_900) return;
    if (await player.ask("isOpen", at.x, at.y, to.x, to.y)) await player.walkTo(to.x, to.y);
    return;
  }
  throw new Error(`${player.name} finds no way to the stall`);
}

const stalls = (player, owner) => player.page.evaluate(([what, owner]) => window.__gundo.buildings().filter((b) => b.what === what && b.owner === owner), [STALL, owner]);

/** Where the stall stands on the player's screen. */
async function onScreen(player, { x, y }) {
  const own = await player.ask("position");
  const { width, height } = player.page.viewportSize();
  return { x: width / 2 + ((x - own.x) * 34) / 1_000, y: height / 2 + ((y - own.y + 600 - 300) * 34) / 1_000 };
}

/** Eve builds a stall, puts something up and closes her browser. Fin buys. Eve comes back and takes what was paid. */
export async function stall(eve, fin) {
  await give(eve, 6, "wood");
  for (let k = 0; k < 2; k++) demand((await eve.ask("craft", PLANKS, 1)).ok, "crafting was refused");
  if (total(await amount(fin)) < 2) await give(fin, 2, "stone");
  const me = (await eve.ask("me")).id;
  await eve.page.keyboard.press("b");
  await eve.page.keyboard.press("4");
  for (const [dx, dy] of [[0, 100], [100, 40], [-100, 40], [0, -90], [100, -70], [-100, -70], [60, 110], [-60, 110], [140, 120], [-140, 120], [140, -130], [-140, -130]]) {
    await eve.page.mouse.move(480 + dx, 340 + dy);
    await eve.page.mouse.click(480 + dx, 340 + dy);
    await eve.page.waitForTimeout(600);
    if ((await stalls(eve, me)).length > 0) break;
  }
  await eve.page.keyboard.press("Escape");
  await eve.page.keyboard.press("Escape");
  const [built] = await stalls(eve, me);
  demand(built, "there is no stall after clicking around");
  await standAt(eve, built);
  await eve.page.keyboard.press("t");
  await shows(eve, "stall", "Nothing yet");
  await press(eve, "stall", "Put something up");
  await pressKey(eve, "stall", `lot${WOOD}`);
  const [pay] = (await fin.ask("bag")).filter(({ item }) => item !== WOOD);
  demand(pay, "Fin has nothing but wood");
  await pressKey(eve, "stall", "lotsmore");
  await pressKey(eve, "stall", `for${pay.item}`);
  await eve.shot("stall-put");
  await pressKey(eve, "stall", "offer");
  await shows(eve, "stall", "2 left");
  await eve.shot("stall-own");
  const before = [total(await amount(eve)), total(await amount(fin))];
  await eve.page.close();

  await standAt(fin, built);
  await fin.shot("stall-world");
  const at = await onScreen(fin, built);
  await fin.page.mouse.click(at.x, at.y);
  await shows(fin, "stall", `${eve.name}'s stall`);
  await fin.shot("stall");
  await press(fin, "stall", "Buy");
  await shows(fin, "stall", "1 left");
  await has(fin, before[1]);
  demand(((await amount(fin))[WOOD] ?? 0) > 0, "Fin has no wood");

  await comeBack(eve);
  await eve.page.keyboard.press("t");
  await shows(eve, "stall", "Earned");
  await eve.shot("stall-earned");
  // The price goes up while Fin looks at it.
  await press(eve, "stall", "Change the price");
  await pressKey(eve, "stall", "pricecountmore");
  await pressKey(eve, "stall", "setprice");
  await shows(eve, "stall", "Earned");
  await pressKey(eve, "stall", "earned");
  await has(eve, before[0] + 1);
  await press(eve, "stall", "Take back");
  await has(eve, before[0] + 2);
  await shows(fin, "stall", "offers nothing just now");
  await closeSide(fin);
  await closeSide(eve);
  return built;
}

/** On a phone everything is large enough, and nothing lies under anything else. */
export async function phone(eve, built) {
  await eve.page.keyboard.press("t");
  await press(eve, "stall", "Put something up");
  await pressKey(eve, "stall", "lot");
  await pressKey(eve, "stall", "for");
  await pressKey(eve, "stall", "offer");
  await shows(eve, "stall", "left");
  await closeSide(eve);
  const gil = await Player.arrive(url, `Gil${eve.name.slice(3)}`, PHONE);
  try {
    await gil.sayName();
    await gil.connected();
    await gil.until("the mailbox is known", () => !document.getElementById("mailbutton").hidden);
    await gil.page.tap("#mailbutton");
    await shows(gil, "mail", "No letters");
    await fits(gil, "mail");
    await gil.shot("mail-phone");
    await gil.page.locator("#mail button", { hasText: "Write a letter" }).tap();
    await fits(gil, "mail");
    await gil.shot("mail-phone-write");
    await gil.page.locator("#mail button[data-key=close]").tap();
    await standAt(gil, built);
    const at = await onScreen(gil, built);
    await gil.page.touchscreen.tap(at.x, at.y);
    await shows(gil, "stall", `${eve.name}'s stall`);
    await fits(gil, "stall");
    await gil.shot("stall-phone");
    await gil.page.setViewportSize({ width: 844, height: 390 });
    await fits(gil, "stall");
    await gil.shot("stall-phone-wide");
    await gil.page.setViewportSize({ width: 320, height: 568 });
    await fits(gil, "stall");
    await gil.shot("stall-phone-small");
    demand(gil.errors.length === 0, `the phone's page complained: ${gil.errors.join("; ")}`);
  } finally {
    await gil.leave();
  }
}
