// Work that takes a while, shown while it goes on.
import type { Understudy } from "../src/sdk/index.ts";
import type { CreateEvaluation } from "../src/sdk/evaluations.ts";
import type { Evaluation } from "../src/wire/evaluations.ts";
import type { ModelFacts } from "../src/wire/models.ts";
import { LiveLine, bar } from "./terminal.ts";

const POLL_MS = 300;

/** Waits until a worker is connected: importing torch takes some seconds. */
export async function toldOfWorker(client: Understudy): Promise<void> {
  const shown = new LiveLine();
  const started = Date.now();
  for (;;) {
    for await (const worker of client.workers()) {
      shown.end(`worker ${worker.name} is connected (${worker.device})`);
      return;
    }
    shown.show(`waiting for the worker to connect (${Math.round((Date.now() - started) / 1000)} s)`);
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
}

/** Registers a model and waits until a worker has loaded and measured it. */
export async function registered(
  client: Understudy,
  body: Parameters<Understudy["createModel"]>[0],
): Promise<ModelFacts> {
  const shown = new LiveLine();
  shown.show(`a worker loads and measures ${body.name}`);
  const { id } = await client.createModel(body);
  const model = await client.modelReady(id);
  if (model.facts === null) throw new Error(`${body.name} is ready without its facts`);
  shown.end(`${body.name} is registered as ${id}`);
  return model.facts;
}

/** Generates and grades, with a line of progress. */
export async function evaluate(client: Understudy, name: string, body: CreateEvaluation): Promise<Evaluation> {
  const shown = new LiveLine();
  const { id } = await client.evaluations.create(body);
  const evaluation = await client.evaluations.wait(id, ({ n, done }) => {
    shown.show(`${name}  ${bar(done, n)} ${done}/${n} answers`);
  });
  const { exact_match: exact = null, rouge_l: rouge = null } = evaluation.metrics ?? {};
  const shownMetric = (metric: { mean: number; low: number; high: number } | null) =>
    metric === null ? "-" : `${metric.mean.toFixed(1)} [${metric.low.toFixed(1)}, ${metric.high.toFixed(1)}]`;
  shown.end(`${name}  ${evaluation.n} answers  exact match ${shownMetric(exact)}  ROUGE-L ${shownMetric(rouge)}`);
  return evaluation;
}
