// What this isolate has looked up lately, trusted for a while: a map that forgets by time and by size.

interface Entry<T> {
  value: T;
  size: number;
  until: number;
}

export interface Bounds<T> {
  /** How long a value is trusted, ms. */
  ms: number;
  /** Sizes of all that is kept, in whatever `sizeOf` counts. */
  size: number;
  sizeOf?: (value: T) => number;
}

export class Lately<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #bounds: Bounds<T>;
  #size = 0;

  constructor(bounds: Bounds<T>) {
    this.#bounds = bounds;
  }

  get(key: string, now = Date.now()): T | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    if (entry.until > now) return entry.value;
    this.delete(key);
    return null;
  }

  /** The oldest go where there is no room for all. */
  set(key: string, value: T, now = Date.now()): void {
    const { ms, size: room, sizeOf = () => 1 } = this.#bounds;
    this.delete(key);
    const size = sizeOf(value);
    this.#entries.set(key, { value, size, until: now + ms });
    this.#size += size;
    for (const oldest of this.#entries.keys()) {
      if (this.#size <= room) break;
      this.delete(oldest);
    }
  }

  delete(key: string): boolean {
    this.#size -= this.#entries.get(key)?.size ?? 0;
    return this.#entries.delete(key);
  }

  deleteAll(prefix: string): void {
    for (const key of [...this.#entries.keys()]) if (key.startsWith(prefix)) this.delete(key);
  }
}
