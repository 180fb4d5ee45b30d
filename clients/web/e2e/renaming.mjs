// Names that change in the panel of people: one's own by keyboard, the guild's by mouse, and what others see of it.
import { demand } from "./stage.mjs";
import { closePanel, fits, press, shows } from "./people.mjs";

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
  const size = eve.page.viewportSize();
  await eve.page.setViewportSize({ width: 320, height: 568 });
  await closePanel(eve);
  await eve.page.click("#peoplebutton");
  await press(eve, "change your name");
  await shows(eve, "You can change it again in");
  await fits(eve);
  await eve.shot("name-small");
  await eve.page.setViewportSize(size);
  await closePanel(eve);
  await closePanel(fin);
}
