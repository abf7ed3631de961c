// The Worker of the pool's tests: the real Durable Object, with a `settle` and a scorer that each test can watch and break.
import type { Env } from "../../src/env.ts";
import { definePool } from "../../src/pool/index.ts";
import type { GenerateAsk, ScorerApi } from "../../src/scorer/api.ts";
import type { OutboxEntry } from "../../src/store/outbox.ts";

export const outbox: { applied: OutboxEntry[]; settle: ((entry: OutboxEntry) => Promise<void>) | null } = {
  applied: [],
  settle: null,
};

export const scorer: { asked: GenerateAsk[]; generate: ScorerApi["generate"] } = {
  asked: [],
  generate: () => Promise.reject(new Error("no test said what to answer")),
};

const SCORER: ScorerApi = {
  score: () => Promise.reject(new Error("the pool scores nothing at the edge")),
  generate: (ask) => {
    scorer.asked.push(ask);
    return scorer.generate(ask);
  },
};

const Real = definePool(async (_env, entry) => {
  await outbox.settle?.(entry);
  outbox.applied.push(entry);
});

export class Pool extends Real {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, { ...env, SCORER });
  }
}

export default { fetch: () => new Response("not used") };
