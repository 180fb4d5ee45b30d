/** The rules of the picture, frame by frame. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ServerMessageSchema, type EnterSchema, type FrameSchema } from "../src/gen/client_pb.js";
import { entityKey, Picture } from "../src/index.js";

type FrameInit = MessageInitShape<typeof FrameSchema>;
type EnterInit = MessageInitShape<typeof EnterSchema>;

const SHEEP = entityKey(7, 9n);

class Story {
  readonly picture = new Picture();
  readonly log: string[] = [];
  now = 0;

  constructor() {
    for (const name of ["enter", "change", "leave"] as const) this.picture.on(name, (e) => this.log.push(`${name} ${e.key} ${new TextDecoder().decode(e.public)}`));
    this.picture.on("signal", (e, payload) => this.log.push(`signal ${e.key} ${new TextDecoder().decode(payload)}`));
  }

  frames(...frames: FrameInit[]) {
    this.message({ frames });
  }

  message(message: MessageInitShape<typeof ServerMessageSchema>) {
    this.picture.onMessage(create(ServerMessageSchema, message), this.now);
  }

  /** Events since the last call. */
  told(): string[] {
    return this.log.splice(0);
  }

  get sheep() {
    return this.picture.entities.get(SHEEP);
  }
}

const bytes = (text: string) => new TextEncoder().encode(text);
const frame = (publisher: number, cx: number, roster: number, rest: FrameInit = {}): FrameInit => ({ publisher, cx, cy: 0, tick: 100, roster, ...rest });
const sheep = (slot: number, count: number, text = "woolly", rest: EnterInit = {}): EnterInit => ({ slot, kind: 7, id: 9n, epoch: 1n, count, public: bytes(text), hasBody: true, x: 100, y: 200, heading: 64, speed: 15, ...rest });

test("enter, change, motion, signal, leave", () => {
  const s = new Story();
  s.frames(frame(1, 2, 1, { enter: [sheep(3, 1)] }));
  assert.deepEqual(s.told(), [`enter ${SHEEP} woolly`]);
  assert.equal(s.sheep?.body.x, 2 * 30_000 + 1_000);
  assert.equal(s.sheep?.body.heading, Math.PI);
  assert.equal(s.sheep?.body.speed, 1.5);
  s.frames(frame(1, 2, 2, { change: [{ slot: 3, public: bytes("shorn") }], signal: [{ slot: 3, payload: bytes("baa") }], tick: 101 }));
  assert.deepEqual(s.told(), [`signal ${SHEEP} baa`, `change ${SHEEP} shorn`]);
  s.frames(frame(1, 2, 0, { tick: 102, slot: [3], x: [110], y: [200], heading: [0], speed: [0] }));
  assert.equal(s.sheep?.body.x, 2 * 30_000 + 1_100);
  assert.equal(s.picture.updates, 1);
  s.frames(frame(1, 2, 3, { leave: [{ slot: 3 }] }));
  assert.deepEqual(s.told(), [`leave ${SHEEP} shorn`]);
  assert.equal(s.picture.entities.size, 0);
});

test("columns are differences in slots; short ones end early; old ticks and strange slots are ignored", () => {
  const s = new Story();
  const other = sheep(7, 1, "two", { id: 10n });
  s.frames(frame(1, 0, 1, { enter: [sheep(3, 1), other] }));
  s.frames(frame(1, 0, 0, { tick: 105, slot: [3, 4, 90], x: [1, 2, 3], y: [0, 0, 0], heading: [0, 0, 0], speed: [0, 0, 0] }));
  assert.equal(s.sheep?.body.x, 10);
  assert.equal(s.picture.entities.get(entityKey(7, 10n))?.body.x, 20);
  s.frames(frame(1, 0, 0, { tick: 104, slot: [3], x: [500], y: [0], heading: [0], speed: [0] }));
  assert.equal(s.sheep?.body.x, 10);
  s.frames(frame(1, 0, 0, { tick: 106, slot: [3, 4], x: [30], y: [0], heading: [0], speed: [0] }));
  assert.equal(s.sheep?.body.x, 300);
  assert.equal(s.picture.entities.get(entityKey(7, 10n))?.body.x, 20);
});

test("a slot left and taken in one part", () => {
  const s = new Story();
  s.frames(frame(1, 0, 1, { enter: [sheep(0, 1)] }));
  s.told();
  s.frames(frame(1, 0, 2, { leave: [{ slot: 0 }], enter: [sheep(0, 1, "other", { id: 11n })] }));
  assert.deepEqual(s.told().sort(), [`enter ${entityKey(7, 11n)} other`, `leave ${SHEEP} woolly`]);
});

test("a missed part: nothing is believed until a keyframe", () => {
  const s = new Story();
  s.frames(frame(1, 0, 1, { enter: [sheep(0, 1)] }));
  s.frames(frame(1, 0, 3, { change: [{ slot: 0, public: bytes("lie") }] }));
  s.frames(frame(1, 0, 0, { tick: 103, slot: [0], x: [999], y: [0], heading: [0], speed: [0] }));
  s.frames(frame(1, 0, 2, { change: [{ slot: 0, public: bytes("late") }] }), frame(1, 0, 4, { change: [{ slot: 0, public: bytes("lie") }] }));
  assert.deepEqual(s.told(), [`enter ${SHEEP} woolly`]);
  assert.equal(s.sheep?.body.x, 1_000);
  assert.equal(s.picture.gaps, 1);
  assert.equal(s.picture.brokenSince, 0);
  s.told();
  s.frames(frame(1, 0, 3, { keyframe: true, enter: [sheep(4, 1, "true")] }));
  assert.deepEqual(s.told(), [`change ${SHEEP} true`]);
  assert.equal(s.picture.brokenSince, undefined);
  s.frames(frame(1, 0, 4, { change: [{ slot: 4, public: bytes("on") }] }));
  assert.deepEqual(s.told(), [`change ${SHEEP} on`]);
});

test("the reminder of a number is not a part, and shows a lost one", () => {
  const s = new Story();
  s.frames(frame(1, 0, 1, { enter: [sheep(0, 1)] }), frame(1, 0, 1));
  assert.equal(s.picture.gaps, 0);
  s.frames(frame(1, 0, 2));
  assert.equal(s.picture.gaps, 1);
});

test("parts already known are not applied twice", () => {
  const s = new Story();
  s.frames(frame(1, 0, 1, { enter: [sheep(0, 1)] }));
  s.frames(frame(1, 0, 2, { signal: [{ slot: 0, payload: bytes("baa") }] }), frame(1, 0, 2, { signal: [{ slot: 0, payload: bytes("baa") }] }));
  assert.deepEqual(s.told(), [`enter ${SHEEP} woolly`, `signal ${SHEEP} baa`]);
});

test("what was done on a node that has lost the entity is shown all the same", () => {
  const s = new Story();
  s.frames(frame(1, 0, 1, { enter: [sheep(0, 1)] }), frame(2, 0, 1, { enter: [sheep(0, 2, "shorn")] }));
  s.told();
  s.frames(frame(1, 0, 2, { signal: [{ slot: 0, payload: bytes("baa") }], change: [{ slot: 0, public: bytes("old") }] }));
  assert.deepEqual(s.told(), [`signal ${SHEEP} baa`]);
});

test("a keyframe replaces all of its publisher and chunk, and nothing else", () => {
  const s = new Story();
  s.frames(frame(1, 0, 1, { enter: [sheep(0, 1)] }), frame(2, 0, 1, { enter: [sheep(0, 1, "two", { id: 10n })] }), frame(1, 1, 1, { enter: [sheep(0, 1, "three", { id: 11n })] }));
  s.told();
  s.frames(frame(1, 0, 8, { keyframe: true, enter: [sheep(4, 1, "four", { id: 12n })] }));
  assert.deepEqual(s.told(), [`leave ${SHEEP} woolly`, `enter ${entityKey(7, 12n)} four`]);
});

test("the entities of a lost node stay for a while, until another node publishes them", () => {
  const s = new Story();
  s.frames(frame(1, 0, 1, { enter: [sheep(0, 1), sheep(1, 1, "two", { id: 10n })] }));
  s.told();
  s.frames(frame(1, 0, 0, { keyframe: true }));
  s.now = 1_000;
  s.frames(frame(2, 0, 1, { enter: [sheep(0, 2)] }));
  assert.deepEqual(s.told(), [`change ${SHEEP} woolly`], "the new owner is told, and nobody left");
  s.now = 1_400;
  s.picture.expire(s.now);
  assert.deepEqual(s.told(), []);
  s.now = 1_600;
  s.picture.expire(s.now);
  assert.deepEqual(s.told(), [`leave ${entityKey(7, 10n)} two`]);
  assert.equal(s.picture.entities.size, 1);
});

test("walking over a border of chunks: nobody leaves", () => {
  const s = new Story();
  s.frames(frame(1, 0, 1, { enter: [sheep(0, 1)] }));
  s.told();
  s.frames(frame(1, 0, 2, { leave: [{ slot: 0, to: { x: 1 } }], tick: 101 }), frame(1, 1, 1, { enter: [sheep(5, 1, "woolly", { x: 0 })], tick: 101 }));
  assert.deepEqual(s.told(), []);
  assert.equal(s.sheep?.chunk.x, 1);
});

test("walking over a border of nodes, the new owner a tick late: kept meanwhile, and the new owner is told", () => {
  const s = new Story();
  s.frames(frame(1, 0, 1, { enter: [sheep(0, 1)] }));
  s.told();
  s.frames(frame(1, 0, 2, { leave: [{ slot: 0, to: { x: 1 } }], tick: 101 }));
  assert.equal(s.sheep?.inTransit, true);
  s.now += 100;
  s.frames(frame(2, 1, 1, { enter: [sheep(0, 2)], tick: 102 }));
  assert.deepEqual(s.told(), [`change ${SHEEP} woolly`]);
  assert.equal(s.sheep?.publisher, 2);
  assert.equal(s.sheep?.inTransit, false);
});

test("who left for where one does not see goes after a moment", () => {
  const s = new Story();
  s.frames(frame(1, 0, 1, { enter: [sheep(0, 1)] }), frame(1, 0, 2, { leave: [{ slot: 0, to: { x: 99 } }] }));
  s.now += 1_000;
  s.picture.expire(s.now);
  assert.equal(s.picture.entities.size, 0);
});

test("the higher term wins, whatever comes later; the lower one is stale for good", () => {
  const s = new Story();
  s.frames(frame(1, 0, 1, { enter: [sheep(0, 1, "old")] }), frame(2, 0, 1, { enter: [sheep(0, 2, "new", { x: 300 })] }));
  s.frames(frame(1, 0, 0, { tick: 150, slot: [0], x: [1], y: [1], heading: [0], speed: [0] }));
  s.frames(frame(1, 0, 2, { change: [{ slot: 0, public: bytes("older") }], tick: 151 }));
  assert.equal(s.sheep?.body.x, 3_000);
  assert.equal(s.sheep?.publisher, 2);
  s.told();
  // The new owner's sheep dies: the stale entry does not bring it back.
  s.frames(frame(2, 0, 2, { leave: [{ slot: 0 }] }));
  assert.deepEqual(s.told(), [`leave ${SHEEP} new`]);
  assert.equal(s.picture.entities.size, 0);
});

test("a leave removes only what the same publisher entered in the same chunk", () => {
  const s = new Story();
  s.frames(frame(2, 1, 1, { enter: [sheep(0, 2)] }), frame(1, 0, 1, { enter: [sheep(0, 1)] }));
  s.told();
  s.frames(frame(1, 0, 2, { leave: [{ slot: 0 }] }));
  assert.deepEqual(s.told(), []);
  assert.ok(s.sheep);
});

test("chunks that left the sight are dropped before the frames of the same message", () => {
  const s = new Story();
  s.frames(frame(1, 0, 5, { keyframe: true, enter: [sheep(0, 1)] }), frame(2, 0, 5, { keyframe: true, enter: [sheep(0, 1, "two", { id: 10n })] }));
  s.told();
  s.message({ forget: [{ x: 0, y: 0 }], frames: [frame(2, 0, 9, { keyframe: true, enter: [sheep(0, 1, "two", { id: 10n })] })] });
  assert.deepEqual(s.told(), [`leave ${SHEEP} woolly`]);
});

test("resync: everything is published again, and what is still there never left, even under lower terms", () => {
  const s = new Story();
  s.frames(frame(1, 0, 5, { keyframe: true, enter: [sheep(0, 9), sheep(1, 1, "two", { id: 10n })] }));
  s.told();
  s.message({ resync: {} });
  assert.deepEqual(s.told(), []);
  s.now += 150;
  s.frames(frame(3, 0, 2, { keyframe: true, enter: [sheep(0, 1)] }));
  s.now += 5_000;
  s.picture.expire(s.now);
  assert.deepEqual(s.told(), [`change ${SHEEP} woolly`, `leave ${entityKey(7, 10n)} two`]);
});
