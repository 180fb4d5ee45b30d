/** Where the world's edges were when this browser was last in it: a reload finds another one when the page's own server is away. */

/** More than any client is told of. */
const EDGES_MAX = 64;

/** See the top of the file. */
export class RememberedEdges {
  constructor(private readonly key: string) {}

  /** All but `own`, which is known anyway. */
  load(own: string): string[] {
    try {
      const kept: unknown = JSON.parse(localStorage.getItem(this.key) ?? "[]");
      if (!Array.isArray(kept)) return [];
      return kept.filter((url): url is string => typeof url === "string" && /^wss?:\/\//.test(url) && url !== own).slice(0, EDGES_MAX);
    } catch {
      return [];
    }
  }

  save(urls: readonly string[]): void {
    try {
      localStorage.setItem(this.key, JSON.stringify(urls.slice(0, EDGES_MAX)));
    } catch {
      // Nothing is kept here; the page's own server is known.
    }
  }
}
