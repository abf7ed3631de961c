// The Worker of the pool's tests: the real Durable Object, with a `settle` that each test can watch and break.
import { definePool } from "../../src/pool/index.ts";
import type { OutboxEntry } from "../../src/store/outbox.ts";

export const outbox: { applied: OutboxEntry[]; settle: ((entry: OutboxEntry) => Promise<void>) | null } = {
  applied: [],
  settle: null,
};

export const Pool = definePool(async (_env, entry) => {
  await outbox.settle?.(entry);
  outbox.applied.push(entry);
});

export default { fetch: () => new Response("not used") };
