/**
 * `@gundo/client`: the client SDK for worlds that run on the Gundo server engine. Start with {@link Client}.
 */
export { Client, PROTOCOL } from "./client.js";
export type { ClientEvents, ClientOptions, Me, Move, OwnMotion } from "./events.js";
export type { Watched } from "./watched.js";
export { chunkKey, entityKey, Picture, type ChunkRef, type Entity, type PictureEvents } from "./picture.js";
export { askEntry, askNames, type Entry } from "./names.js";
export { WorldClock } from "./clock.js";
export { type EdgeAddress, type ListedEdge } from "./edges.js";
export { Emitter } from "./emitter.js";
export { browserEnvironment, type Environment, type Socket, type SocketEvents } from "./environment.js";
export { Refusal } from "./refusal.js";
export { RememberedEdges } from "./remembered.js";
export { standing, type Standing, type Trouble } from "./standing.js";
export { describeState, type ConnectionState } from "./state.js";
export { LocalStore, MemoryStore, type Key, type KeyStore, type TextStorage } from "./store.js";
export { turn, type Body } from "./track.js";
export { Walker, type Ground } from "./walker.js";
export type { Correction, Names, Notice, Stats, Welcome } from "./gen/client_pb.js";
/** Protobuf by hand, for pages without generated code: see `games/meadow/page/meadow.js`. */
export { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
