/**
 * `window.__gundo`: what the end-to-end test (and a curious player at the console) can read and do. Plain values only.
 * It is part of the page's tested surface, not of the game.
 */
import type { Walker } from "@gundo/client";
import type { Changes } from "./changes.js";
import type { Building, Stage, What } from "./gen/pioneer_pb.js";
import { KIND_LAND, type World } from "./world.js";
import { isRefusal } from "./world.js";

/** How a command ended. */
type Answer = { ok: true; gained: { item: number; count: number }[]; thing: number } | { ok: false; code: string; text: string };

/** What the page offers. Places are mm on the island. */
export interface Hooks {
  /** The connection: its state, the state in words, and the node if connected. */
  state(): { kind: string; words: string; node: number | undefined; welcomes: number; lastLoss: string | undefined; rosterGaps: number };
  /** Changes of the nodes and of the connection, the newest last. */
  changes(): string[];
  /** The own player, once welcomed. */
  me(): { id: string; name: string } | undefined;
  /** Where the own body is, as predicted. */
  position(): { x: number; y: number };
  /** How often the server corrected it. */
  corrections(): number;
  /** Everything with a body in the picture, as last received (not interpolated). */
  entities(): { key: string; kind: number; id: string; name: string | undefined; x: number; y: number; publisher: number; chunk: string }[];
  /** Everything that grows in sight. */
  things(): { cx: number; cy: number; index: number; what: What; stage: Stage; x: number; y: number }[];
  /** Everything built in sight. */
  buildings(): { cx: number; cy: number; index: number; what: Building; owner: string; entity: string; x: number; y: number }[];
  /** The node that owns each chunk's land, for every chunk in sight. */
  lands(): { cx: number; cy: number; publisher: number }[];
  /** Where everybody comes ashore, and how far the land around is everybody's. */
  village(): { x: number; y: number; commonsMm: number };
  /** The estate that a chunk in sight belongs to, and its own estates; as numbers in hex. */
  estates(): { lands: { cx: number; cy: number; estate: string }[]; own: string[] };
  /** Everything that players in sight are saying. */
  bubbles(): { key: string; text: string }[];
  /** What the player carries. */
  bag(): { item: number; count: number; id: string }[];
  /** Walks there by itself in a straight line, sliding along obstacles; a key press ends it. */
  walkTo(x: number, y: number): void;
  /** Whether it still walks by itself. */
  walking(): boolean;
  /** Whether one could walk there in a straight line. */
  isOpen(ax: number, ay: number, bx: number, by: number): boolean;
  gather(cx: number, cy: number, index: number): Promise<Answer>;
  build(what: Building, x: number, y: number, rotation: number): Promise<Answer>;
  demolish(cx: number, cy: number, index: number): Promise<Answer>;
  craft(recipe: number, count: number): Promise<Answer>;
  say(text: string): Promise<Answer>;
  /** Leaves the trade without telling the other one. */
  leaveTradeAlone(): Promise<Answer>;
  /**
   * Updates of the own body since the last reset: the longest gap while moving, in ms of this clock and in ticks of the
   * server, and the longest gap that the page itself caused.
   */
  ownMotion(): { gapMsMax: number; gapTicksMax: number; updates: number; sentGapMsMax: number };
  resetOwnMotion(): void;
  /** Pictures drawn in the last second, and the longest time between two of them, ms. */
  pictures(): { perSecond: number; gapMsMax: number };
}

declare global {
  interface Window {
    __gundo: Hooks;
  }
}

/** Puts the hooks on the window. */
export function installHooks(world: World, walker: Walker, changes: Changes, pictures: Hooks["pictures"], bubbles: Hooks["bubbles"]): void {
  const { client } = world;
  const answer = async (reply: ReturnType<World["send"]>): Promise<Answer> => {
    try {
      const { gained, thing } = await reply;
      return { ok: true, gained: gained.map(({ item, count }) => ({ item, count })), thing };
    } catch (error) {
      if (isRefusal(error)) return { ok: false, code: error.code, text: error.text };
      throw error;
    }
  };
  const at = (cx: number, cy: number) => ({ x: cx, y: cy });
  window.__gundo = {
    state: () => ({ kind: client.state.kind, words: client.stateInWords, node: client.state.kind === "connected" ? client.state.node : undefined, welcomes: client.welcomes, lastLoss: client.lastLoss, rosterGaps: client.picture.gaps }),
    changes: () => changes.lines.map(({ text }) => text),
    me: () => client.me && { id: client.me.id.toString(16), name: world.own.name },
    position: () => ({ x: Math.round(walker.x), y: Math.round(walker.y) }),
    corrections: () => walker.corrections,
    entities: () =>
      [...client.picture.entities.values()]
        .filter((entity) => entity.kind !== KIND_LAND)
        .map((entity) => ({
          key: entity.key,
          kind: entity.kind,
          id: entity.id.toString(16),
          name: world.players.get(entity.key)?.name,
          x: entity.body.x,
          y: entity.body.y,
          publisher: entity.publisher,
          chunk: `${entity.chunk.x}, ${entity.chunk.y}`,
        })),
    things: () => [...world.lands.values()].flatMap((land) => land.things.map(({ thing, x, y }) => ({ cx: land.chunk.x, cy: land.chunk.y, index: thing.index, what: thing.what, stage: thing.stage, x, y }))),
    buildings: () =>
      [...world.lands.values()].flatMap((land) => land.buildings.map(({ built, x, y }) => ({ cx: land.chunk.x, cy: land.chunk.y, index: built.index, what: built.what, owner: built.owner.toString(16), entity: built.entity.toString(16), x, y }))),
    lands: () => [...world.lands.values()].map(({ chunk, entity }) => ({ cx: chunk.x, cy: chunk.y, publisher: entity.publisher })),
    village: () => ({ x: world.description?.villageX ?? 0, y: world.description?.villageY ?? 0, commonsMm: world.description?.commonsMm ?? 0 }),
    estates: () => ({
      lands: [...world.lands.values()].flatMap(({ chunk, terms }) => (terms ? [{ cx: chunk.x, cy: chunk.y, estate: terms.estate.toString(16) }] : [])),
      own: world.own.deeds.map((estate) => estate.toString(16)),
    }),
    bubbles,
    bag: () => world.own.slots.map(({ item, count, id }) => ({ item, count, id: id.toString(16) })),
    walkTo: (x, y) => (walker.goal = { x, y }),
    walking: () => walker.goal !== undefined,
    isOpen: (ax, ay, bx, by) => world.isOpen(ax, ay, bx, by),
    gather: (cx, cy, index) => answer(world.gather({ chunk: at(cx, cy), thing: { index } })),
    build: (what, x, y, rotation) => answer(world.build(what, x, y, rotation)),
    demolish: (cx, cy, index) => answer(world.demolish({ chunk: at(cx, cy), built: { index } })),
    craft: (recipe, count) => answer(world.send({ case: "craft", value: { recipe, count } })),
    leaveTradeAlone: () => answer(world.send({ case: "leaveTrade", value: { trade: world.own.trade?.id ?? 0n, alone: true } })),
    say: (text) => answer(world.send({ case: "say", value: { text } })),
    ownMotion: () => ({ ...client.ownMotion }),
    resetOwnMotion: () => client.resetOwnMotion(),
    pictures,
  };
}
