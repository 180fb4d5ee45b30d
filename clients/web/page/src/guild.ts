/**
 * The pages of the panel of people about guilds: founding one, its members and their roles, its chest and who put and took what.
 * What the guild looks like comes from watching it, which the page does only while one of these pages is open.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { type ChestEntry, GuildPublicSchema, GuildRole, type GuildPublic, type Invitation, type Member, type Membership, type Person, type Stack } from "./gen/pioneer_pb.js";
import { h } from "./dom.js";
import type { PeopleWishes } from "./people.js";
import type { Renaming } from "./renaming.js";
import type { Some } from "./things.js";
import type { World } from "./world.js";

/** The kind of guilds, as the game numbers it. */
export const KIND_GUILD = 40;

/** Which page is open. Without a guild, each of them is that of founding one. */
export type GuildPage = { at: "home" | "name" | "invite" | "put" | "take" } | { at: "member"; person: Person };

type Part = Node | string;

/** What the panel lends its pages. */
export interface Pieces {
  readonly renaming: Renaming;
  head(title: string, deeper: boolean): HTMLElement;
  button(key: string, text: string, click: () => void, className?: string): HTMLButtonElement;
  /** A button with the face and the name of a person. */
  row(person: Person, words: string, click: () => void): HTMLElement;
  face(id: bigint): HTMLElement;
  /** Chooses one of these things, and how much of it. */
  picker(verb: string, send: (some: Some) => void, from: readonly Stack[], empty: string): Part[];
  /** Things to look at. */
  shelf(from: readonly Stack[]): Part[];
  words(some: Some): string;
  /** Opens a page. */
  go(page: GuildPage): void;
  /** Whom one could invite: friends, and who is near. */
  others(): Person[];
  /** The name of a person's guild, if the person is in sight and in one. */
  tag(id: bigint): string;
}

const ROLES: Partial<Record<GuildRole, string>> = { [GuildRole.LEADER]: "leader", [GuildRole.OFFICER]: "officer", [GuildRole.MEMBER]: "member" };

/** See the top of the file. */
export class Guilds {
  /** The own guild as last seen; undefined: not yet. */
  private seen: { id: bigint; guild: GuildPublic } | undefined;
  private watched: bigint | undefined;
  /** The button that asks whether one is sure. */
  private sure = "";
  private readonly name = h("input", { autocomplete: "off", spellcheck: false, placeholder: "A name for it", ariaLabel: "The name of your guild" });

  constructor(
    private readonly world: World,
    private readonly wishes: PeopleWishes,
    private readonly pieces: Pieces,
  ) {
    this.name.dataset.key = "guildname";
    world.client.on("watched", ({ kind, id, public: shown }) => {
      if (kind !== KIND_GUILD || id !== this.watched) return;
      this.seen = shown && { id, guild: fromBinary(GuildPublicSchema, shown) };
    });
  }

  /** What the pages show, for the panel to know when it has changed. */
  get state(): unknown {
    // Times of the log are shown in minutes.
    return [this.seen, this.sure, this.seen?.guild.log.length ? Math.floor(this.world.client.worldMs / 60_000) : 0];
  }

  /** Watches the own guild while `open`. Call it whenever the panel draws. */
  follow(open: boolean): void {
    const mine = open ? this.world.own.guild?.id : undefined;
    if (mine === this.watched) return;
    if (this.watched !== undefined) this.world.client.unwatch(KIND_GUILD, this.watched);
    this.watched = mine;
    if (mine !== undefined) this.world.client.watch(KIND_GUILD, mine);
  }

  /** Another page is open. */
  turned(): void {
    this.sure = "";
  }

  // ---- pieces of the other pages -------------------------------------------------------------------------------------

  /** For the list of people: invitations first. */
  cards(): Part[] {
    return this.world.own.invitations.map((invitation) => {
      const { guild, name, from } = invitation;
      const accept = () => this.accept(invitation);
      const decline = () => this.wishes.act(`decline the invitation into ${name}`, { case: "declineGuild", value: { guild } });
      const buttons = [this.pieces.button(`join${guild}`, "Join", accept, "good"), this.pieces.button(`declineguild${guild}`, "Decline", decline)];
      return h("div", { className: "card" }, h("p", {}, `${from?.name ?? "Somebody"} invites you into the guild ${name}`), ...buttons);
    });
  }

  /** For the list of people: the way to the own guild, or to founding one. */
  entry(): Part[] {
    const { guild } = this.world.own;
    const row = this.pieces.button("guild", "", () => this.pieces.go({ at: "home" }), "row");
    const crest = h("span", { className: "crest", ariaHidden: "true" }, guild ? initial(guild.name) : "+");
    row.replaceChildren(crest, h("span", {}, guild ? guild.name : "Found a guild", h("small", {}, guild ? `you are ${article(guild.role)}` : "members share a chest")), h("i", { ariaHidden: "true" }, "›"));
    return [h("h3", {}, "Guild"), row];
  }

  /** For the page of a person: invites it. */
  personPart(person: Person): Part[] {
    const { guild, blocked } = this.world.own;
    if (!guild || guild.role < GuildRole.OFFICER || blocked.some(({ id }) => id === person.id) || this.pieces.tag(person.id)) return [];
    return [this.pieces.button("invite", `Invite into ${guild.name}`, () => this.invite(guild, person))];
  }

  /** The whole page. */
  page(page: GuildPage): Part[] {
    const mine = this.world.own.guild;
    if (!mine) return this.foundPage();
    const guild = this.seen?.id === mine.id ? this.seen.guild : undefined;
    if (!guild) return [this.pieces.head(mine.name, true), h("p", {}, "One moment …")];
    if (page.at === "name") return this.pieces.renaming.guildPage(mine.id, mine.name);
    if (page.at === "invite") return this.invitePage(mine, guild);
    if (page.at === "put" || page.at === "take") return this.chestPage(mine, guild, page.at);
    if (page.at === "member") return this.memberPage(mine, guild, page.person);
    return this.homePage(mine, guild);
  }

  // ---- the pages -----------------------------------------------------------------------------------------------------

  private foundPage(): Part[] {
    const { description } = this.world;
    const price = description?.guildPrice ?? [];
    const lacks = price.filter((stack) => this.world.count(stack.item) < stack.count);
    this.name.maxLength = description?.nameCharsMax ?? 16;
    const button = this.pieces.button("found", "Found it", () => undefined, "good");
    button.type = "submit";
    button.ariaDisabled = String(lacks.length > 0);
    const form = h("form", { className: "found" }, this.name, button);
    form.onsubmit = (event) => {
      event.preventDefault();
      const name = this.name.value.trim();
      if (!name) return this.name.focus();
      if (lacks.length > 0) return;
      const done = () => {
        this.name.value = "";
        this.wishes.toast(`You lead a guild now.`);
        this.pieces.go({ at: "home" });
      };
      this.wishes.act(`found the guild ${name}`, { case: "foundGuild", value: { name } }, done);
    };
    const cost = price.map((stack) => this.pieces.words(stack)).join(", ");
    return [
      this.pieces.head("Found a guild", true),
      h("p", {}, "Members share a chest, and wear the guild's name."),
      form,
      h("p", { className: lacks.length > 0 ? "lacks" : "" }, `It costs ${cost}.`, ...(lacks.length > 0 ? [` You have ${lacks.map(({ item }) => this.pieces.words({ item, count: this.world.count(item) })).join(", ")}.`] : [])),
    ];
  }

  private homePage(mine: Membership, guild: GuildPublic): Part[] {
    const { pieces } = this;
    const may = mine.role >= GuildRole.OFFICER;
    const others = guild.members.length - 1;
    const chest = pieces.button("chest", `Chest (${guild.chest.length})`, () => pieces.go({ at: "put" }));
    const invite = pieces.button("invitesome", "Invite …", () => pieces.go({ at: "invite" }));
    const order = [...guild.members].sort((a, b) => b.role - a.role);
    const rows = order.flatMap((member) => (member.who ? [this.memberRow(member, member.who)] : []));
    const parts: Part[] = [
      pieces.head(guild.name, true),
      h("p", {}, `${others === 0 ? "You are its only member" : `${guild.members.length} members; you are ${article(mine.role)}`}.`),
      h("div", { className: may ? "two" : "one" }, chest, ...(may ? [invite] : [])),
      h("h3", {}, "Members"),
      ...rows,
    ];
    if (guild.invited.length > 0) {
      const words = may ? "invited: withdraw" : "invited";
      parts.push(h("h3", {}, "Invited"), ...guild.invited.map((person) => pieces.row(person, words, () => may && this.remove(mine, person, "withdraw the invitation of"))));
    }
    if (mine.role === GuildRole.LEADER) parts.push(pieces.button("renameguild", "Change its name …", () => pieces.go({ at: "name" })));
    if (mine.role !== GuildRole.LEADER) parts.push(this.asking("leaveguild", "Leave the guild", "Really leave it?", () => this.leave(mine)));
    else parts.push(...this.endPart(mine, guild));
    return parts;
  }

  private memberRow(member: Member, who: Person): HTMLElement {
    const own = who.id === this.world.client.me?.id;
    return this.pieces.row(who, own ? `${ROLES[member.role] ?? ""}, you` : (ROLES[member.role] ?? ""), () => !own && this.pieces.go({ at: "member", person: who }));
  }

  /** How the leader ends the guild, or why that does not go yet. */
  private endPart(mine: Membership, guild: GuildPublic): Part[] {
    if (guild.chest.length > 0) return [h("p", { className: "end" }, "Before you can dissolve the guild, take everything out of the chest.")];
    const act = () => this.wishes.act(`dissolve ${mine.name}`, { case: "dissolveGuild", value: { guild: mine.id } }, () => this.wishes.toast(`${mine.name} is no more.`));
    return [this.asking("dissolve", "Dissolve the guild", guild.members.length > 1 ? "Really? Everybody leaves." : "Really dissolve it?", act)];
  }

  private invitePage(mine: Membership, guild: GuildPublic): Part[] {
    const is = (list: readonly (Person | undefined)[], id: bigint) => list.some((person) => person?.id === id);
    const free = this.pieces.others().filter(({ id }) => !is(guild.members.map(({ who }) => who), id) && !is(guild.invited, id) && !this.pieces.tag(id));
    const rows = free.map((person) => this.pieces.row(person, "invite", () => this.invite(mine, person)));
    return [this.pieces.head("Invite", true), h("p", {}, "Friends, and people nearby. Friends who are away find the invitation when they come."), ...(rows.length > 0 ? rows : [h("p", {}, "Nobody is there to invite.")])];
  }

  private memberPage(mine: Membership, guild: GuildPublic, person: Person): Part[] {
    const member = guild.members.find(({ who }) => who?.id === person.id);
    const head = [this.pieces.head(person.name, true), h("div", { className: "who" }, this.pieces.face(person.id), h("p", {}, member ? `${capital(ROLES[member.role] ?? "")} of ${guild.name}.` : "Not in your guild any more."))];
    if (!member) return head;
    const set = (key: string, words: string, role: GuildRole, what: string) =>
      this.pieces.button(key, words, () => this.wishes.act(what, { case: "setGuildRole", value: { guild: mine.id, whom: person.id, role } }));
    const parts: Part[] = [...head];
    if (mine.role === GuildRole.LEADER) {
      if (member.role === GuildRole.MEMBER) parts.push(set("officer", "Make an officer", GuildRole.OFFICER, `make ${person.name} an officer`));
      else parts.push(set("member", "Make a member", GuildRole.MEMBER, `make ${person.name} a member`));
      const hand = () => this.wishes.act(`hand ${mine.name} over to ${person.name}`, { case: "setGuildRole", value: { guild: mine.id, whom: person.id, role: GuildRole.LEADER } }, () => this.wishes.toast(`${person.name} leads ${mine.name} now.`));
      parts.push(this.asking("handover", "Hand the guild over", `Really? ${person.name} leads then.`, hand, ""));
    }
    if (mine.role === GuildRole.LEADER || (mine.role === GuildRole.OFFICER && member.role === GuildRole.MEMBER)) {
      parts.push(this.asking("removemember", "Remove from the guild", `Really remove ${person.name}?`, () => this.remove(mine, person, "remove")));
    } else if (mine.role < GuildRole.LEADER) parts.push(h("p", {}, "The leader gives roles; officers remove members."));
    return parts;
  }

  private chestPage(mine: Membership, guild: GuildPublic, side: "put" | "take"): Part[] {
    const { pieces } = this;
    const may = mine.role >= GuildRole.OFFICER;
    const tab = (at: "put" | "take", words: string) => {
      const button = pieces.button(`tab${at}`, words, () => pieces.go({ at }), at === side ? "chosen" : "");
      button.ariaPressed = String(at === side);
      return button;
    };
    const put = (stack: Some) => this.wishes.act(`put ${pieces.words(stack)} into the chest`, { case: "putInChest", value: { guild: mine.id, stack } });
    const take = (stack: Some) => this.wishes.act(`take ${pieces.words(stack)} out of the chest`, { case: "takeFromChest", value: { guild: mine.id, stack } });
    const slots = this.world.description?.chestSlotsMax ?? 0;
    const middle = side === "put" ? pieces.picker("Put in", put, this.world.own.slots, "Your bag is empty.") : may ? pieces.picker("Take", take, guild.chest, "The chest is empty.") : [...pieces.shelf(guild.chest), h("p", {}, "Officers and the leader take things out.")];
    return [
      pieces.head(`Chest of ${guild.name}`, true),
      h("p", {}, `${guild.chest.length} of ${slots} slots in use.`),
      h("div", { className: "two" }, tab("put", "Put in"), tab("take", may ? "Take out" : "Look")),
      ...middle,
      h("h3", {}, "Lately"),
      guild.log.length > 0 ? h("ol", { className: "log" }, ...[...guild.log].reverse().map((entry) => this.line(entry))) : h("p", {}, "Nobody has put anything in yet."),
    ];
  }

  private line(entry: ChestEntry): HTMLElement {
    const words = `${entry.who?.name ?? ""} ${entry.took ? "took" : "put in"} ${entry.stack ? this.pieces.words(entry.stack) : ""}`;
    return h("li", { className: entry.took ? "took" : "" }, words, h("small", {}, ago(this.world.client.worldMs - Number(entry.at))));
  }

  // ---- what they do --------------------------------------------------------------------------------------------------

  /** Who finds the guild dissolved is rid of the invitation. */
  private accept({ guild, name }: Invitation): void {
    const gone = (code: string) => {
      if (code === "guild_gone") this.wishes.act(`decline the invitation into ${name}`, { case: "declineGuild", value: { guild } });
    };
    this.wishes.act(`join ${name}`, { case: "acceptGuild", value: { guild } }, () => this.wishes.toast(`You are in ${name} now.`), gone);
  }

  private invite(mine: Membership, person: Person): void {
    this.wishes.act(`invite ${person.name} into ${mine.name}`, { case: "inviteToGuild", value: { guild: mine.id, whom: person.id } }, () => this.wishes.toast(`${person.name} is invited.`));
  }

  private remove(mine: Membership, person: Person, what: string): void {
    this.wishes.act(`${what} ${person.name}`, { case: "removeFromGuild", value: { guild: mine.id, whom: person.id } });
  }

  private leave(mine: Membership): void {
    this.wishes.act(`leave ${mine.name}`, { case: "leaveGuild", value: { guild: mine.id } }, () => this.wishes.toast(`You have left ${mine.name}.`));
  }

  /** A button that asks first whether one is sure. */
  private asking(key: string, words: string, question: string, act: () => void, className = "quiet"): HTMLButtonElement {
    const asks = this.sure === key;
    const click = () => {
      this.sure = asks ? "" : key;
      if (asks) act();
    };
    return this.pieces.button(key, asks ? question : words, click, asks ? "sure" : className);
  }
}

function article(role: GuildRole): string {
  return role === GuildRole.LEADER ? "its leader" : role === GuildRole.OFFICER ? "an officer" : "a member";
}

function initial(name: string): string {
  return (/\p{L}\p{M}*/u.exec(name)?.[0] ?? "").toUpperCase();
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** How long ago that was. */
function ago(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} days ago`;
}
