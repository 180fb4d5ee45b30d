/**
 * Goods as the page shows them: so many of an item, or one unique thing, which has an id. Of things from before there were ids there
 * may be several without one.
 */
import type { Item } from "./gen/pioneer_pb.js";

/** So many of an item, or a unique thing. Without `id`, or with 0: no unique thing. */
export type Some = { item: Item; count: number; id?: bigint };

/** Whether both are the same item, and the same thing if it is unique. */
export function isSame(one: Some | undefined, other: Some | undefined): boolean {
  return one !== undefined && other !== undefined && one.item === other.item && (one.id ?? 0n) === (other.id ?? 0n);
}

/** One entry for each item and each unique thing, in the order in which they come. */
export function sorts(from: readonly Some[]): Some[] {
  const all: Some[] = [];
  for (const { item, count, id = 0n } of from) {
    const known = all.find((some) => isSame(some, { item, count, id }));
    if (known) known.count += count;
    else all.push({ item, count, id });
  }
  return all;
}

/** How much of this there is. */
export function amount(what: Some, from: readonly Some[]): number {
  return from.reduce((sum, some) => sum + (isSame(some, what) ? some.count : 0), 0);
}

/** A word for it that is its own. */
export function keyOf({ item, id = 0n }: Some): string {
  return id === 0n ? String(item) : `${item}-${id.toString(16)}`;
}

/** `3 wood`; a unique thing has the first digits of its id: `axe #3f2a`. */
export function wordsOf(name: string, { count, id = 0n }: { count: number; id?: bigint }): string {
  return id === 0n ? `${count} ${name}` : `${name} #${id.toString(16).padStart(16, "0").slice(0, 4)}`;
}
