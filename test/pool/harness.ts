// A pool of its own for each test, and a clock that tests move.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { PoolStub } from "../../src/env.ts";
import { unique } from "./fixtures.ts";

export type Stub = PoolStub & DurableObjectStub;

export function freshPool(): Stub {
  return env.POOL.get(env.POOL.idFromName(unique("pool")));
}

/** The clock of test and pool alike: both run in one isolate. */
export const clock = {
  start: () => vi.useFakeTimers({ toFake: ["Date"], now: Date.now() }),
  pass: (ms: number) => vi.setSystemTime(Date.now() + ms),
  stop: () => vi.useRealTimers(),
};

/** Rings the pool's alarm, and waits until the pool has done what there is to do. */
export async function settled(pool: Stub): Promise<void> {
  await runInDurableObject(pool, async (instance) => {
    await (instance as unknown as { alarm: () => Promise<void> }).alarm();
  });
}

/** Lets time pass and rings the pool's alarm. */
export async function later(pool: Stub, ms: number): Promise<void> {
  clock.pass(ms);
  await settled(pool);
}

export async function sql<T>(pool: Stub, query: string, ...params: (string | number | null)[]): Promise<T[]> {
  return runInDurableObject(pool, (_instance, state) => state.storage.sql.exec(query, ...params).toArray() as T[]);
}
