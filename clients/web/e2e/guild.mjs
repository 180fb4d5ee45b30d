// A guild of two players in the panel of people: founding, inviting, the chest, the end; by keyboard, by mouse, and on a phone.
import { demand, Player } from "./stage.mjs";
import { amount, badge, closePanel, fits, joinUp, PHONE, press, shows } from "./people.mjs";
import { give, url } from "./world.mjs";

/** Planks as an item and as a recipe, as the game numbers them. */
const PLANK = 5;
const PLANKS_RECIPE = 1;
const PRICE = 4;

const guildName = (player) => `Foxes ${player.name.slice(3)}`;

/** Opens the panel with the guild. */
async function openGuild(player) {
  await closePanel(player);
  await player.page.keyboard.press("g");
  await player.until("the panel is open", () => !document.getElementById("people").hidden);
}

/** Presses a button that asks first. */
async function pressTwice(player, words, question) {
  await press(player, words);
  await press(player, question);
}

async function wide(player, what) {
  const before = player.page.viewportSize();
  await player.page.setViewportSize({ width: 1280, height: 800 });
  await player.shot(what);
  await player.page.setViewportSize(before);
}

export async function founding(eve, fin) {
  const name = guildName(eve);
  await openGuild(eve);
  await shows(eve, "It costs 4 plank");
  const planks = (await amount(eve))[PLANK] ?? 0;
  if (planks < PRICE) {
    demand((await eve.page.locator("#people button[data-key=found]").getAttribute("aria-disabled")) === "true", "she cannot pay, and the button does not say so");
    await wide(eve, "guild-found-poor");
    await closePanel(eve);
    await give(eve, 7, "wood");
    demand((await eve.ask("craft", PLANKS_RECIPE, 2)).ok, "Eve cannot make planks");
    await openGuild(eve);
  }
  await eve.page.focus("#people input");
  await eve.page.keyboard.type(name);
  await wide(eve, "guild-found");
  await eve.page.keyboard.press("Enter");
  await shows(eve, "You are its only member");
  await wide(eve, "guild-alone");
  // He is away, and finds the invitation when he comes.
  await fin.page.close();
  await press(eve, "Invite …");
  await press(eve, fin.name);
  await eve.page.keyboard.press("Escape");
  await shows(eve, "invited: withdraw");
  await fin.open();
  await fin.connected();
  await badge(fin, 1);
  await fin.page.click("#peoplebutton");
  await shows(fin, `invites you into the guild ${name}`);
  await wide(fin, "guild-invited");
  await press(fin, "Join");
  await badge(fin, 0);
  await shows(eve, "2 members; you are its leader");
  await shows(fin, "you are a member");
  await wide(eve, "guild-two");
  await eve.page.keyboard.press("Escape");
  await eve.until("the guild is beside his name", (name) => [...document.querySelectorAll("#people .tag")].some((tag) => tag.textContent === name), name);
  await wide(eve, "guild-tag");
}

export async function chest(eve, fin) {
  await give(fin, 2, "stone");
  const before = [await amount(eve), await amount(fin)];
  const sum = (bag) => Object.values(bag).reduce((a, b) => a + b, 0);
  await openGuild(fin);
  await press(fin, "Chest");
  await fin.page.locator("#people button[data-key^=pick]").first().click();
  await press(fin, "Put in 1");
  await shows(fin, `${fin.name} put in 1`);
  await wide(fin, "guild-chest-put");
  // A member looks; an officer takes.
  await press(fin, "Look");
  await shows(fin, "Officers and the leader take things out");
  await wide(fin, "guild-chest-look");
  await openGuild(eve);
  await press(eve, fin.name);
  await shows(eve, "Member of");
  await wide(eve, "guild-member");
  await press(eve, "Make an officer");
  await shows(eve, "Officer of");
  await shows(fin, "Take out");
  await press(fin, "Put in");
  await fin.page.locator("#people button[data-key^=pick]").first().click();
  await press(fin, "Put in 1");
  await fin.until("two entries", () => document.querySelectorAll("#people .log li").length === 2);
  await press(fin, "Take out");
  await fin.page.locator("#people button[data-key^=pick]").first().click();
  await fin.page.locator("#people button[data-key=send]").click();
  await shows(fin, `${fin.name} took 1`);
  await eve.page.keyboard.press("Escape");
  await press(eve, "Chest");
  await shows(eve, `${fin.name} took 1`);
  await wide(eve, "guild-chest-log");
  const after = [await amount(eve), await amount(fin)];
  demand(sum(after[0]) === sum(before[0]) && sum(after[1]) === sum(before[1]) - 1, `${JSON.stringify(before)} became ${JSON.stringify(after)}`);
}

/** One more joins on a phone. */
export async function phone(eve) {
  const gus = await Player.arrive(url, `Gus${eve.name.slice(3)}`, PHONE);
  try {
    await gus.sayName();
    await gus.connected();
    await joinUp(eve, gus);
    await gus.page.tap("#peoplebutton");
    await press(gus, "Found a guild");
    await shows(gus, "It costs 4 plank");
    await fits(gus);
    await gus.shot("guild-phone-found");
    await openGuild(eve);
    await press(eve, "Invite …");
    await press(eve, gus.name);
    await badge(gus, 1);
    await gus.page.tap("#people button[data-key=back]");
    await shows(gus, "invites you into the guild");
    await fits(gus);
    await gus.page.locator("#people button", { hasText: "Join" }).tap();
    await shows(gus, "you are a member");
    await gus.page.tap("#people button[data-key=guild]");
    await shows(gus, "3 members");
    await fits(gus);
    await gus.shot("guild-phone");
    await gus.page.tap("#people button[data-key=chest]");
    await shows(gus, "Lately");
    await fits(gus);
    await gus.shot("guild-phone-chest");
    await gus.page.setViewportSize({ width: 844, height: 390 });
    await fits(gus);
    await gus.shot("guild-phone-wide");
    await gus.page.setViewportSize({ width: 320, height: 568 });
    await fits(gus);
    await gus.shot("guild-phone-small");
    // Out again, by the leader.
    await openGuild(eve);
    await press(eve, gus.name);
    await pressTwice(eve, "Remove from the guild", "Really remove");
    await shows(gus, "Found a guild");
    demand(gus.errors.length === 0, `the phone's page complained: ${gus.errors.join("; ")}`);
  } finally {
    await gus.leave();
  }
}

export async function ending(eve, fin) {
  await openGuild(eve);
  await shows(eve, "take everything out of the chest");
  await press(eve, "Chest");
  await press(eve, "Take out");
  while ((await eve.page.locator("#people button[data-key^=pick]").count()) > 0) {
    const log = await eve.page.locator("#people .log li").count();
    await eve.page.locator("#people button[data-key^=pick]").first().click();
    if ((await eve.page.locator("#people button[data-key=all]").getAttribute("aria-disabled")) !== "true") await eve.page.click("#people button[data-key=all]");
    await eve.page.click("#people button[data-key=send]");
    await eve.until("one more line in the log", (log) => document.querySelectorAll("#people .log li").length > log, log);
  }
  await eve.page.keyboard.press("Escape");
  await openGuild(fin);
  await pressTwice(fin, "Leave the guild", "Really leave");
  await shows(fin, "Found a guild");
  await shows(eve, "You are its only member");
  await pressTwice(eve, "Dissolve the guild", "Really dissolve");
  await shows(eve, "It costs 4 plank");
  await closePanel(eve);
  await closePanel(fin);
}
