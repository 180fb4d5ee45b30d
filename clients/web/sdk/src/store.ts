/** Stores a player's keys between connections and, if the store outlives the page, between visits. */
export interface TokenStore {
  /** The resume token, or undefined if there is none. */
  load(): Uint8Array | undefined;
  /** Keeps `token`; undefined forgets it. */
  save(token: Uint8Array | undefined): void;
  /** The nonce of a player who has said hello and has no Welcome yet, or undefined if there is none. */
  loadNonce(): Uint8Array | undefined;
  /** Keeps `nonce`; undefined forgets it. */
  saveNonce(nonce: Uint8Array | undefined): void;
}

/** Keeps the keys as long as the object lives. */
export class MemoryStore implements TokenStore {
  private token: Uint8Array | undefined;
  private nonce: Uint8Array | undefined;

  load(): Uint8Array | undefined {
    return this.token;
  }

  save(token: Uint8Array | undefined): void {
    this.token = token;
  }

  loadNonce(): Uint8Array | undefined {
    return this.nonce;
  }

  saveNonce(nonce: Uint8Array | undefined): void {
    this.nonce = nonce;
  }
}

/**
 * Keeps the keys in the page's localStorage, as hexadecimal digits: the token under `key`, the nonce beside it. Tabs of
 * one origin share them, so a second tab takes the player over. If the browser forbids storage, they last as long as
 * the page.
 */
export class LocalStore implements TokenStore {
  private readonly fallback = new MemoryStore();

  constructor(private readonly key = "gundo.token") {}

  load(): Uint8Array | undefined {
    return read(this.key, () => this.fallback.load());
  }

  save(token: Uint8Array | undefined): void {
    this.fallback.save(token);
    write(this.key, token);
  }

  loadNonce(): Uint8Array | undefined {
    return read(`${this.key}.nonce`, () => this.fallback.loadNonce());
  }

  saveNonce(nonce: Uint8Array | undefined): void {
    this.fallback.saveNonce(nonce);
    write(`${this.key}.nonce`, nonce);
  }
}

function read(key: string, fallback: () => Uint8Array | undefined): Uint8Array | undefined {
  try {
    const text = localStorage.getItem(key);
    if (text === null || !/^([0-9a-f]{2})+$/.test(text)) return undefined;
    return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  } catch {
    return fallback();
  }
}

function write(key: string, bytes: Uint8Array | undefined): void {
  try {
    if (!bytes) localStorage.removeItem(key);
    else localStorage.setItem(key, Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join(""));
  } catch {
    // Storage is forbidden or full: the copy in memory lasts for this visit.
  }
}
