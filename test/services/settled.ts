// Generated evaluations as the pool tells of them, without a worker.
import { env } from "cloudflare:workers";
import { newId } from "../../src/services/identity.ts";
import { settle } from "../../src/services/settle.ts";
import type { OutboxEntry } from "../../src/store/outbox.ts";
import type { Evaluation } from "../../src/wire/evaluations.ts";
import { Generation } from "../../src/wire/generation.ts";
import { provenance } from "../pool/fixtures.ts";

/** One whose every response is in; not yet graded. */
export function completed(dataset: string, n: number, model: string, changes: Partial<Evaluation> = {}): Evaluation {
  return {
    id: newId("ev"),
    object: "evaluation",
    created_at: new Date().toISOString(),
    status: "completed",
    model,
    model_name: null,
    dataset,
    split: "test",
    template: "chat",
    generation: Generation.parse({}),
    limit: null,
    pattern: null,
    n,
    done: n,
    metrics: null,
    provenance: provenance(),
    job: newId("job"),
    error: null,
    ...changes,
  };
}

/** Its entries: created, all items in batches, completed. The first `right` items are answered rightly. */
export function entriesOf(project: string, of: Evaluation, right: number, seeds = [10]): OutboxEntry[] {
  const item = (i: number, seed: number) => ({
    item: `test-${i}`,
    seed,
    response: i < right ? `Answer ${i}!` : "I do not know",
    finish_reason: "stop" as const,
    num_tokens: 3,
  });
  const all = Array.from({ length: of.n }, (_, i) => seeds.map((seed) => item(i, seed))).flat();
  return [
    { project, kind: "evaluation", rev: 1, evaluation: { ...of, status: "queued", done: 0 } },
    { project, kind: "items", evaluation: of.id, batch: 0, items: all.slice(0, 32) },
    { project, kind: "items", evaluation: of.id, batch: 1, items: all.slice(32) },
    { project, kind: "evaluation", rev: 2, evaluation: of },
  ];
}

export async function settleAll(list: OutboxEntry[]): Promise<void> {
  for (const entry of list) await settle(env, entry);
}
