/** Where the resume token is kept between connections, and, if it outlives the page, between visits. */
export interface TokenStore {
  /** The token, or undefined if there is none. */
  load(): Uint8Array | undefined;
  /** Keeps `token`; undefined forgets it. */
  save(token: Uint8Array | undefined): void;
}

/** Keeps the token as long as the object lives. */
export class MemoryStore implements TokenStore {
  private token: Uint8Array | undefined;

  load(): Uint8Array | undefined {
    return this.token;
  }

  save(token: Uint8Array | undefined): void {
    this.token = token;
  }
}

/**
 * Keeps the token in the page's localStorage, as hexadecimal digits. Tabs of one origin share it, so that a second tab
 * takes the player over. Where the browser forbids storage, the token lives as long as the page.
 */
export class LocalStore implements TokenStore {
  private readonly fallback = new MemoryStore();

  constructor(private readonly key = "gundo.token") {}

  load(): Uint8Array | undefined {
    try {
      const text = localStorage.getItem(this.key);
      if (text === null) return undefined;
      if (!/^([0-9a-f]{2})+$/.test(text)) return undefined;
      return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
    } catch {
      return this.fallback.load();
    }
  }

  save(token: Uint8Array | undefined): void {
    this.fallback.save(token);
    try {
      if (!token) localStorage.removeItem(this.key);
      else localStorage.setItem(this.key, Array.from(token, (b) => b.toString(16).padStart(2, "0")).join(""));
    } catch {
      // Storage is forbidden or full: the copy in memory serves this visit.
    }
  }
}
