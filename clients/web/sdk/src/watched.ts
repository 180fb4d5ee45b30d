/** What a client is shown of an entity that it watches by its id. */
import type { Refusal } from "./refusal.js";

/** How an entity that is watched looks now, or why it is not watched. */
export interface Watched {
  readonly kind: number;
  readonly id: bigint;
  /** Names the entity among all, as in the picture. */
  readonly key: string;
  /** The game's public state after its last durable change; undefined: nothing to see, or not watched. */
  readonly public: Uint8Array | undefined;
  /** It is not watched (any more): `not_allowed`, `no_such_kind`, `no_such_entity`, `too_many` or `not_ready`. */
  readonly refusal: Refusal | undefined;
  /** With a refusal: it was shown before. Forget it. */
  readonly gone: boolean;
}
