// Names that change in the panel of people: one's own by keyboard and by finger, the guild's by mouse, and what others see of it.
import { demand, Player } from "./stage.mjs";
import { closePanel, fits, PHONE, press, shows } from "./people.mjs";
import { url } from "./world.mjs";

/** Eve leads a guild, and Fin is a friend and in it. */
export async function names(eve, fin) {
  const [before, tail] = [eve.name, eve.name.slice(3)];
  await closePanel(eve);
  await closePanel(fin);
  await fin.page.keyboard.press("p");
  await shows(fin, before);
  await eve.page.keyboard.press("p");
  await press(eve, "change your name");
  await shows(eve, `You are ${before}.`);
  await eve.page.focus("#people input[data-key=newname]");
  // A name that somebody has stays in the field.
  await eve.page.keyboard.type(fin.name);
  await eve.page.keyboard.press("Enter");
  await eve.until("the name is taken", () => document.getElementById("toasts").textContent.includes("name"));
  demand((await eve.page.inputValue("#people input[data-key=newname]")) === fin.name, "what she typed is gone");
  await eve.shot("name");
  await eve.page.fill("#people input[data-key=newname]", `Evi${tail}`);
  await eve.page.keyboard.press("Enter");
  await eve.until("she is called so", (name) => window.__gundo.me().name === name, `Evi${tail}`);
  eve.name = `Evi${tail}`;
  await shows(fin, eve.name);
  await fin.shot("name-of-friend");
  await press(eve, "change your name");
  await shows(eve, "You can change it again in");
  await shows(eve, before);
  await eve.shot("name-kept");

  await closePanel(eve);
  await eve.page.keyboard.press("g");
  await press(eve, "Change its name");
  await shows(eve, "Your guild is called");
  await eve.page.locator("#people input[data-key=newguildname]").fill(`Herons ${tail}`);
  await eve.shot("guild-name");
  await eve.page.click("#people button[data-key=renameguild]");
  await shows(eve, `Herons ${tail}`);
  await fin.until("his guild is called so", (name) => document.getElementById("people").textContent.includes(name), `Herons ${tail}`);
  await closePanel(eve);
  await closePanel(fin);
  await phone(tail);
}

/** By finger, on a small screen. */
async function phone(tail) {
  const hal = await Player.arrive(url, `Hal${tail}`, PHONE);
  try {
    await hal.sayName();
    await hal.connected();
    await hal.page.setViewportSize({ width: 320, height: 568 });
    await hal.page.tap("#peoplebutton");
    await hal.page.locator("#people button", { hasText: "change your name" }).tap();
    await shows(hal, "Everybody sees it at once");
    await fits(hal);
    await hal.shot("name-phone");
    await hal.page.fill("#people input[data-key=newname]", `Hol${tail}`);
    await hal.page.tap("#people button[data-key=rename]");
    await hal.until("he is called so", (name) => window.__gundo.me().name === name, `Hol${tail}`);
    await hal.page.locator("#people button", { hasText: "change your name" }).tap();
    await shows(hal, "You can change it again in");
    await fits(hal);
    await hal.shot("name-phone-kept");
    demand(hal.errors.length === 0, `the phone's page complained: ${hal.errors.join("; ")}`);
  } finally {
    await hal.leave();
  }
}
