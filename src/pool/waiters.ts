// Callers that wait for a job or a run to change: in memory only, and not without bound.
import { MAX_PROJECT_WAITERS, MAX_WAITERS } from "../config.ts";

/** What a caller waits for. */
export interface Wanted<T> {
  project: string;
  /** The id of what may change. */
  topic: string;
  ms: number;
  read: () => T;
  done: (value: T) => boolean;
}

export class Waiters {
  readonly #waiting = new Map<string, Set<() => void>>();
  /** Of each project that has any. */
  readonly #counts = new Map<string, number>();
  #count = 0;

  /** Reads again whenever `topic` changes, until `done` or for `ms`; where as many wait already as may, of the project or of
   * all, it ends with what is known. */
  async wait<T>({ project, topic, ms, read, done }: Wanted<T>): Promise<T> {
    const until = Date.now() + ms;
    for (;;) {
      const value = read();
      const left = until - Date.now();
      const mine = this.#counts.get(project) ?? 0;
      if (left <= 0 || done(value) || this.#count >= MAX_WAITERS || mine >= MAX_PROJECT_WAITERS) return value;
      this.#add(project, 1);
      await this.#change(topic, left);
      this.#add(project, -1);
    }
  }

  /** Resolves when `topic` changes, or after `ms`. */
  async #change(topic: string, ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const wake = (): void => resolve(undefined);
    const timer = setTimeout(wake, ms);
    const waiting = this.#waiting.get(topic) ?? new Set();
    this.#waiting.set(topic, waiting.add(wake));
    await promise;
    clearTimeout(timer);
    waiting.delete(wake);
    if (waiting.size === 0 && this.#waiting.get(topic) === waiting) this.#waiting.delete(topic);
  }

  #add(project: string, by: number): void {
    this.#count += by;
    const mine = (this.#counts.get(project) ?? 0) + by;
    if (mine > 0) this.#counts.set(project, mine);
    else this.#counts.delete(project);
  }

  notify(topics: Iterable<string>): void {
    for (const topic of topics) for (const wake of this.#waiting.get(topic) ?? []) wake();
  }
}
