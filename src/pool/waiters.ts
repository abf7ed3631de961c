// Callers that wait for a job or a run to change: in memory only, and not without bound.
import { MAX_WAITERS } from "../config.ts";

export class Waiters {
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #most: number;
  #count = 0;

  constructor(most = MAX_WAITERS) {
    this.#most = most;
  }

  /** Resolves when `topic` changes, or after `ms`: true. False at once where as many wait already as may. */
  async change(topic: string, ms: number): Promise<boolean> {
    if (this.#count >= this.#most) return false;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const wake = (): void => resolve(undefined);
    const timer = setTimeout(wake, ms);
    const waiting = this.#waiting.get(topic) ?? new Set();
    this.#waiting.set(topic, waiting.add(wake));
    this.#count += 1;
    await promise;
    clearTimeout(timer);
    this.#count -= 1;
    waiting.delete(wake);
    if (waiting.size === 0 && this.#waiting.get(topic) === waiting) this.#waiting.delete(topic);
    return true;
  }

  notify(topics: Iterable<string>): void {
    for (const topic of topics) for (const wake of this.#waiting.get(topic) ?? []) wake();
  }
}
