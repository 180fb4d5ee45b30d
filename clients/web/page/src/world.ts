/**
 * Pioneer's world on top of the SDK: decodes its bytes once, when they change, and offers its commands as functions.
 */
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { Client, chunkKey, Emitter, entityKey, Refusal, type ChunkRef, type Entity } from "@gundo/client";
import {
  CreaturePublicSchema,
  LandPublicSchema,
  PlayerCommandSchema,
  PlayerPrivateSchema,
  PlayerPublicSchema,
  PlayerReplySchema,
  PlayerSignalSchema,
  PlayerToldSchema,
  WorldSchema,
  Building,
  type BuildingInfo,
  type Built,
  type CreaturePublic,
  type Item,
  type PlayerPrivate,
  type PlayerPublic,
  type PlayerReply,
  type PlayerSignal,
  type PlayerTold,
  type Terms,
  type Thing,
  type ThingInfo,
  type What,
  type World as Description,
  Stage,
} from "./gen/pioneer_pb.js";
import { contains, crosses, grown, plan, type Rect } from "./plans.js";
import { may } from "./rights.js";
import { Terrain } from "./terrain.js";

/** Kinds of entities, as the game numbers them. */
export const KIND_PLAYER = 1;
export const KIND_LAND = 2;
export const KIND_RABBIT = 100;
export const KIND_SHEEP = 101;

/** How far the drawn figure of a player reaches from its feet, mm: a little more than what is drawn, for fingers. */
const FIGURE_MM = { side: 750, up: 2_300, down: 450 };

/** How far a stall's roof is drawn above its northern side, mm. */
const STALL_UP_MM = 1_500;

/** Something that grows, with its place on the island. */
export interface PlacedThing {
  readonly chunk: ChunkRef;
  readonly thing: Thing;
  /** mm on the island. */
  readonly x: number;
  readonly y: number;
  readonly info: ThingInfo;
}

/** Something built, with its place on the island. */
export interface PlacedBuilding {
  readonly chunk: ChunkRef;
  readonly built: Built;
  readonly x: number;
  readonly y: number;
  readonly info: BuildingInfo;
  readonly plan: Rect;
}

/** A chunk's land as it is now. */
export interface Land {
  readonly entity: Entity;
  readonly chunk: ChunkRef;
  readonly things: readonly PlacedThing[];
  readonly buildings: readonly PlacedBuilding[];
  /** The estate that it belongs to. */
  readonly terms: Terms | undefined;
}

/** The events of the world. */
export interface WorldEvents {
  /** The description arrived: the island is known. */
  ready: [];
  /** The inventory or another private thing changed. */
  own: [PlayerPrivate];
  /** Something that grows was gathered from or has grown. */
  thing: [PlacedThing, Stage];
  /** Something was built (true) or removed. */
  building: [PlacedBuilding, boolean];
  /** A player said or did something. */
  signal: [Entity, PlayerSignal];
  /** A player whispered, or did something with this one. */
  told: [PlayerTold];
}

/** What a player can ask for. */
export type PlayerWish = NonNullable<MessageInitShape<typeof PlayerCommandSchema>["command"]>;

/** See the top of the file. */
export class World extends Emitter<WorldEvents> {
  description: Description | undefined;
  terrain: Terrain | undefined;
  own: PlayerPrivate = create(PlayerPrivateSchema);
  readonly lands = new Map<string, Land>();
  readonly players = new Map<string, PlayerPublic>();
  readonly creatures = new Map<string, CreaturePublic>();
  private readonly buildingInfos = new Map<Building, BuildingInfo>();
  private readonly thingInfos = new Map<What, ThingInfo>();
  private readonly itemNames = new Map<Item, string>();

  constructor(readonly client: Client) {
    super();
    client.on("welcome", (welcome) => this.describe(welcome.world));
    client.on("own", (bytes) => {
      this.own = fromBinary(PlayerPrivateSchema, bytes);
      this.emit("own", this.own);
    });
    client.on("told", (bytes) => this.emit("told", fromBinary(PlayerToldSchema, bytes)));
    client.picture.on("enter", (entity) => this.take(entity));
    client.picture.on("change", (entity) => this.take(entity));
    client.picture.on("leave", (entity) => this.drop(entity));
    client.picture.on("signal", (entity, payload) => {
      if (entity.kind === KIND_PLAYER) this.emit("signal", entity, fromBinary(PlayerSignalSchema, payload));
    });
  }

  /** The name of an item, for people. */
  itemName(item: Item): string {
    return this.itemNames.get(item) ?? "something";
  }

  /** A recipe's name, as the game says it. */
  recipeName(recipe: number): string {
    return this.description?.recipes.find((info) => info.recipe === recipe)?.name ?? "something";
  }

  /** A building's name, as the game says it. */
  buildingName(building: Building): string {
    return this.buildingInfos.get(building)?.name ?? "something";
  }

  /** How a building is built. */
  buildingInfo(building: Building): BuildingInfo | undefined {
    return this.buildingInfos.get(building);
  }

  /** Whether each one of an item is a thing of its own, with an id. */
  isUnique(item: Item): boolean {
    return this.description?.items.some((info) => info.item === item && info.unique) ?? false;
  }

  /** How many of an item the player has. */
  count(item: Item): number {
    return this.own.slots.reduce((sum, stack) => sum + (stack.item === item ? stack.count : 0), 0);
  }

  /** The other player whose figure is drawn at a place, the one in front first. */
  playerAt(x: number, y: number): Entity | undefined {
    const { picture, me, worldMs, lateMs } = this.client;
    const at = { x: 0, y: 0, heading: 0, speed: 0 };
    let best: Entity | undefined;
    let front = -Infinity;
    for (const entity of picture.entities.values()) {
      if (entity.kind !== KIND_PLAYER || !entity.hasBody || entity.key === me?.key) continue;
      const body = picture.bodyOf(entity, worldMs, lateMs, at);
      const [dx, dy] = [x - body.x, y - body.y];
      if (Math.abs(dx) < FIGURE_MM.side && dy > -FIGURE_MM.up && dy < FIGURE_MM.down && body.y > front) [best, front] = [entity, body.y];
    }
    return best;
  }

  /** The stall whose picture is drawn at a place. */
  stallAt(x: number, y: number): PlacedBuilding | undefined {
    for (const land of this.landsNear(x, y, STALL_UP_MM)) {
      const stall = land.buildings.find(({ built, plan: { x0, x1, y0, y1 } }) => built.what === Building.STALL && x >= x0 && x < x1 && y >= y0 - STALL_UP_MM && y < y1);
      if (stall) return stall;
    }
    return undefined;
  }

  /** Calls `visit` for each land whose chunk is within `radiusMm` of a point. */
  *landsNear(x: number, y: number, radiusMm: number): Generator<Land> {
    const size = this.client.picture.chunkMm;
    for (let cy = Math.floor((y - radiusMm) / size); cy <= Math.floor((y + radiusMm) / size); cy++) {
      for (let cx = Math.floor((x - radiusMm) / size); cx <= Math.floor((x + radiusMm) / size); cx++) {
        const land = this.lands.get(chunkKey({ island: this.island, x: cx, y: cy }));
        if (land) yield land;
      }
    }
  }

  /** The land of a chunk, if it is in sight. */
  landOf(cx: number, cy: number): Land | undefined {
    return this.lands.get(chunkKey({ island: this.island, x: cx, y: cy }));
  }

  /** The nearest thing within reach, those with something to gather first. */
  thingInReach(x: number, y: number): PlacedThing | undefined {
    const reach = this.description?.gatherReachMm ?? 0;
    let best: PlacedThing | undefined;
    let bestScore = Infinity;
    for (const land of this.landsNear(x, y, reach)) {
      for (const thing of land.things) {
        const distance = Math.hypot(thing.x - x, thing.y - y);
        const score = distance + (thing.thing.stage === Stage.BARE ? reach : 0);
        if (distance <= reach && score < bestScore) [best, bestScore] = [thing, score];
      }
    }
    return best;
  }

  /** The nearest of one's own buildings within reach; without one, the nearest that one may take down by a right on its land. */
  ownBuildingInReach(x: number, y: number): PlacedBuilding | undefined {
    const reach = this.description?.buildReachMm ?? 0;
    let best: PlacedBuilding | undefined;
    let bestScore = Infinity;
    for (const land of this.landsNear(x, y, reach)) {
      const byRight = land.terms !== undefined && may(this.own, land.terms, "demolish");
      for (const building of land.buildings) {
        const isOwn = building.built.owner === this.client.me?.id;
        if (!isOwn && (!byRight || building.built.what === Building.STALL)) continue;
        const distance = Math.hypot(building.x - x, building.y - y);
        const score = distance + (isOwn ? 0 : reach);
        if (distance <= reach && score < bestScore) [best, bestScore] = [building, score];
      }
    }
    return best;
  }

  /**
   * Whether the player can walk straight from one point to another: ground and buildings. A player inside a building
   * may leave it.
   */
  isOpen(ax: number, ay: number, bx: number, by: number): boolean {
    if (!this.terrain?.isOpen(ax, ay, bx, by)) return false;
    const radius = this.description?.bodyRadiusMm ?? 0;
    // A building listed by a neighbouring chunk extends into this one by half its side.
    const reach = Math.hypot(bx - ax, by - ay) / 2 + 8_000;
    for (const land of this.landsNear((ax + bx) / 2, (ay + by) / 2, reach)) {
      for (const building of land.buildings) {
        const solid = grown(building.plan, radius);
        if (!contains(solid, ax, ay) && crosses(solid, ax, ay, bx, by)) return false;
      }
    }
    return true;
  }

  /** Sends a command; settles with the reply or a {@link Refusal}. */
  async send(command: PlayerWish): Promise<PlayerReply> {
    const payload = toBinary(PlayerCommandSchema, create(PlayerCommandSchema, { command } as MessageInitShape<typeof PlayerCommandSchema>));
    return fromBinary(PlayerReplySchema, await this.client.command(payload));
  }

  /** Gathers what has grown on a thing. */
  gather(thing: { chunk: { x: number; y: number }; thing: { index: number } }): Promise<PlayerReply> {
    const chunk = { cx: thing.chunk.x, cy: thing.chunk.y };
    return this.send({ case: "gather", value: { chunk, thing: thing.thing.index } });
  }

  /** Builds. */
  build(what: Building, x: number, y: number, rotation: number): Promise<PlayerReply> {
    return this.send({ case: "build", value: { what, x: Math.round(x), y: Math.round(y), rotation } });
  }

  /** Takes down a building of the player. */
  demolish(building: { chunk: { x: number; y: number }; built: { index: number } }): Promise<PlayerReply> {
    const chunk = { cx: building.chunk.x, cy: building.chunk.y };
    return this.send({ case: "demolish", value: { chunk, thing: building.built.index } });
  }

  private get island(): number {
    return this.client.welcome?.island ?? 0;
  }

  private describe(bytes: Uint8Array): void {
    if (this.terrain) return;
    const description = fromBinary(WorldSchema, bytes);
    if (!description.terrain) throw new RangeError("the world's description has no terrain");
    this.description = description;
    this.terrain = new Terrain(description.terrain);
    for (const info of description.buildings) this.buildingInfos.set(info.building, info);
    for (const info of description.things) this.thingInfos.set(info.what, info);
    for (const info of description.items) this.itemNames.set(info.item, info.name);
    this.emit("ready");
  }

  private take(entity: Entity): void {
    if (entity.kind === KIND_LAND) this.takeLand(entity);
    else if (entity.kind === KIND_PLAYER) this.players.set(entity.key, fromBinary(PlayerPublicSchema, entity.public));
    else this.creatures.set(entity.key, fromBinary(CreaturePublicSchema, entity.public));
  }

  private takeLand(entity: Entity): void {
    const { chunk } = entity;
    const { chunkMm, unitMm } = this.client.picture;
    const key = chunkKey(chunk);
    const before = this.lands.get(key);
    const { things, buildings, terms } = fromBinary(LandPublicSchema, entity.public);
    const place = (at: { x: number; y: number }) => ({ x: chunk.x * chunkMm + at.x * unitMm, y: chunk.y * chunkMm + at.y * unitMm });
    const land: Land = {
      entity,
      chunk,
      terms,
      things: things.flatMap((thing) => {
        const info = this.thingInfos.get(thing.what);
        return info ? [{ chunk, thing, info, ...place(thing) }] : [];
      }),
      buildings: buildings.flatMap((built) => {
        const info = this.buildingInfos.get(built.what);
        const at = place(built);
        return info ? [{ chunk, built, info, ...at, plan: plan(info, at.x, at.y, built.rotation) }] : [];
      }),
    };
    this.lands.set(key, land);
    if (before) this.compare(before, land);
  }

  private compare(before: Land, after: Land): void {
    const stages = new Map(before.things.map((t) => [t.thing.index, t.thing.stage]));
    for (const thing of after.things) {
      const was = stages.get(thing.thing.index);
      if (was !== undefined && was !== thing.thing.stage) this.emit("thing", thing, was);
    }
    const index = (building: PlacedBuilding) => building.built.index;
    const old = new Set(before.buildings.map(index));
    const now = new Set(after.buildings.map(index));
    for (const building of after.buildings) if (!old.has(index(building))) this.emit("building", building, true);
    for (const building of before.buildings) if (!now.has(index(building))) this.emit("building", building, false);
  }

  private drop(entity: Entity): void {
    if (entity.kind === KIND_LAND) this.lands.delete(chunkKey(entity.chunk));
    else if (entity.kind === KIND_PLAYER) this.players.delete(entity.key);
    else this.creatures.delete(entity.key);
  }
}

/** Whether an error is a refusal to show to the player. */
export function isRefusal(error: unknown): error is Refusal {
  return error instanceof Refusal;
}

export { entityKey };
