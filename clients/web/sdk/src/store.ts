/** A player's resume token, and the world in which it is good. */
export interface Key {
  /** The world's id, as hexadecimal digits; empty: the server did not say. */
  readonly world: string;
  readonly token: Uint8Array;
}

/** Stores a player's keys between connections and, if the store outlives the page, between visits. */
export interface KeyStore {
  /** The key for `world`, or for the world played in last; undefined if there is none. */
  load(world?: string): Key | undefined;
  /** Keeps `key` for its world, which is now the one played in last. */
  save(key: Key): void;
  /** Forgets `key`, unless another one has been kept for its world since: by another tab, say. */
  forget(key: Key): void;
  /** The nonce of a player who has said hello and has no Welcome yet, or undefined if there is none. */
  loadNonce(): Uint8Array | undefined;
  /** Keeps `nonce`; undefined forgets it. */
  saveNonce(nonce: Uint8Array | undefined): void;
  /** Whether what was kept last outlives the page. If not, tell the person: closing the page loses the player. */
  readonly lasts: boolean;
}

/** Keeps the keys as long as the object lives. */
export class MemoryStore implements KeyStore {
  readonly lasts: boolean = false;
  private readonly tokens = new Map<string, Uint8Array>();
  private last: string | undefined;
  private nonce: Uint8Array | undefined;

  load(world = this.last): Key | undefined {
    if (world === undefined) return undefined;
    const token = this.tokens.get(world);
    return token && { world, token };
  }

  save(key: Key): void {
    this.tokens.set(key.world, key.token);
    this.last = key.world;
  }

  forget(key: Key): void {
    const kept = this.tokens.get(key.world);
    if (kept && same(kept, key.token)) this.tokens.delete(key.world);
  }

  loadNonce(): Uint8Array | undefined {
    return this.nonce;
  }

  saveNonce(nonce: Uint8Array | undefined): void {
    this.nonce = nonce;
  }
}

/** What this store needs of the browser's localStorage. */
export type TextStorage = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/**
 * Keeps the keys in the page's localStorage, as hexadecimal digits: a token for each world, and the nonce. Tabs of one
 * origin share them, so a second tab takes the player over. What the browser forbids, has no room for or has deleted
 * lasts as long as the page, and is written again at the next chance: see {@link LocalStore.lasts}.
 */
export class LocalStore implements KeyStore {
  private readonly memory = new MemoryStore();
  private written = true;

  /** `prefix` begins the names of all entries. `storage`: for tests; default: localStorage, looked up at each use. */
  constructor(
    private readonly prefix = "gundo.token",
    private readonly storage?: TextStorage,
  ) {}

  get lasts(): boolean {
    return this.written;
  }

  load(world?: string): Key | undefined {
    const last = world ?? this.text(`${this.prefix}.world`) ?? this.memory.load()?.world;
    // Earlier versions kept one token, of whatever world.
    const stored = (last === undefined ? undefined : this.stored(last)) ?? this.stored("");
    if (stored) return stored;
    const kept = this.memory.load(world);
    if (kept) this.write(kept);
    return kept;
  }

  save(key: Key): void {
    this.memory.save(key);
    this.write(key);
  }

  forget(key: Key): void {
    this.memory.forget(key);
    const stored = this.stored(key.world);
    if (stored && same(stored.token, key.token)) this.put(this.entry(key.world), undefined);
  }

  loadNonce(): Uint8Array | undefined {
    return bytes(this.text(`${this.prefix}.nonce`)) ?? this.memory.loadNonce();
  }

  saveNonce(nonce: Uint8Array | undefined): void {
    this.memory.saveNonce(nonce);
    this.put(`${this.prefix}.nonce`, nonce && hex(nonce));
  }

  private write(key: Key): void {
    this.written = this.put(this.entry(key.world), hex(key.token)) && this.put(`${this.prefix}.world`, key.world);
    // The one of an earlier version has been exchanged for this.
    if (this.written && key.world !== "") this.put(this.entry(""), undefined);
  }

  private stored(world: string): Key | undefined {
    const token = bytes(this.text(this.entry(world)));
    return token && { world, token };
  }

  private entry(world: string): string {
    return world === "" ? this.prefix : `${this.prefix}.${world}`;
  }

  private text(name: string): string | undefined {
    try {
      return (this.storage ?? localStorage).getItem(name) ?? undefined;
    } catch {
      return undefined;
    }
  }

  /** False: storage is forbidden or full. */
  private put(name: string, value: string | undefined): boolean {
    try {
      const storage = this.storage ?? localStorage;
      if (value === undefined) storage.removeItem(name);
      else storage.setItem(name, value);
      return true;
    } catch {
      return false;
    }
  }
}

/** Bytes as hexadecimal digits. */
export function hex(b: Uint8Array): string {
  return Array.from(b, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The bytes behind hexadecimal digits; undefined if these are none. */
export function bytes(text: string | undefined): Uint8Array | undefined {
  if (text === undefined || !/^([0-9a-f]{2})+$/.test(text)) return undefined;
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function same(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, k) => byte === other[k]);
}
