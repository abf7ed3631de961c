// Callers that wait for a job or a run to change: in memory only, and not without bound.
import { MAX_WAITERS } from "../config.ts";

export class Waiters {
  readonly #waiting = new Map<string, Set<() => void>>();
  #count = 0;

  /** Resolves when `topic` changes, or after `ms`. */
  async change(topic: string, ms: number): Promise<void> {
    if (ms <= 0 || this.#count >= MAX_WAITERS) return;
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
  }

  notify(topics: Iterable<string>): void {
    for (const topic of topics) for (const wake of this.#waiting.get(topic) ?? []) wake();
  }
}
