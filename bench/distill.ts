// The engine's distillation steps against the method as commonly written, against TRL, and against the floor.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { format } from "prettier";
import { z } from "zod";
import { STATE, inRoot } from "../scripts/paths.ts";
import { embeddedTeacher } from "../scripts/stack/stack.ts";
import { svg } from "./distill/chart.ts";
import type { Chart } from "./distill/chart.ts";
import { findings, rows } from "./distill/findings.ts";
import { call } from "./program.ts";
import { findingsTable, page, sidesTable } from "./distill/report.ts";
import type { Report } from "./distill/report.ts";
import { DPKD, FORWARD_KL, JSD, alternating, floor, measure, ours, plain, trl } from "./distill/sides.ts";
import type { Choice, Measured, Objective, Side, TrlTrainer, Where } from "./distill/sides.ts";
import { median } from "./stats.ts";
import { byLength, byVocabulary } from "./distill/sweeps.ts";
import { TRL, trlPython } from "./distill/trl.ts";
import type { Goal } from "./goal.ts";

const BATCH = 8;
const KEEP_LAYERS = 10;
const SEED = 40;

/** `forwardKl`: repetitions of TRL's second objective, each about two minutes. */
const FULL = {
  repetitions: 5,
  forwardKl: 1,
  /** Steps that are taken and dropped. */
  warmup: 3,
  lengths: [64, 128, 256, 384],
  vocabularies: [8_000, 16_000, 32_000, 64_000, 128_000],
};
/** For whoever works on the bench: every part of it once, its figures worth nothing. */
const QUICK: typeof FULL = {
  repetitions: 1,
  forwardKl: 1,
  warmup: 1,
  lengths: [32, 64],
  vocabularies: [8_000, 16_000],
};

const Accounts = z.strictObject({
  versions: z.record(z.string(), z.string()),
  steps: z.array(
    z.strictObject({
      real: z.int(),
      once: z.int(),
      responses: z.int(),
      padded: z.int(),
      flops: z.record(z.string(), z.number()),
    }),
  ),
});

const said = (measured: Measured): string => `${measured.seconds.map((one) => one.toFixed(2)).join(", ")} s a step`;

async function tell(side: Side, where: Where, steps: Parameters<typeof measure>[2]): Promise<Measured> {
  const measured = await measure(side, where, steps);
  console.log(`${measured.side.padEnd(24)} ${said(measured)}`);
  return measured;
}

const both = (objective: Objective): Side[] => [ours(objective, "cold"), ours(objective, "warm")];

/** One step of each of TRL's trainers, and the one that is faster. */
async function choose(python: string, where: Where, objective: Objective): Promise<Choice> {
  const seconds = async (trainer: TrlTrainer) => {
    const { seconds } = await tell(trl(python, objective, trainer), where, { skip: 0, warmup: 1, steps: 1 });
    return seconds[0] ?? Infinity;
  };
  const found = { gkd: await seconds("gkd"), chunked: await seconds("chunked") };
  return { objective: objective.type, seconds: found, trainer: found.gkd < found.chunked ? "gkd" : "chunked" };
}

async function sweeps(
  size: typeof FULL,
  root: string,
  models: string,
): Promise<Record<"length" | "vocabulary", Chart>> {
  return {
    length: {
      title: "Seconds a step by sequence length",
      x: "tokens a row",
      y: "s",
      lines: await byLength(root, models, size.lengths),
    },
    vocabulary: {
      title: "Peak memory above the loaded models by vocabulary",
      x: "vocabulary",
      y: "MiB",
      lines: await byVocabulary(root, models, size.vocabularies),
    },
  };
}

async function repetitions(
  size: typeof FULL,
  where: Where,
  fastest: { jsd: Side; forwardKl: Side },
): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (let repetition = 0; repetition < size.repetitions; repetition += 1) {
    console.log(`repetition ${repetition + 1} of ${size.repetitions}`);
    const groups = [[plain()], both(DPKD), [fastest.jsd], both(JSD), [floor()]];
    if (repetition < size.forwardKl) groups.push([fastest.forwardKl], both(FORWARD_KL));
    for (const side of alternating(groups, repetition)) {
      measured.push(await tell(side, where, { skip: repetition, warmup: size.warmup, steps: 1 }));
    }
  }
  return measured;
}

/** The models and rows of every side, and what they hold. */
async function prepare(size: typeof FULL, data: string, folder: string) {
  const request = {
    folder,
    data,
    gguf: Object.values(embeddedTeacher())[0],
    keep_layers: KEEP_LAYERS,
    batch_size: BATCH,
    steps: size.repetitions + size.warmup,
    seed: SEED,
  };
  const { source } = await call({ file: "distill/prepare.py" }, request, z.strictObject({ source: z.string() }));
  const { versions, steps } = await call({ file: "distill/account.py" }, { folder }, Accounts);
  return { source, versions: { ...versions, trl: TRL }, accounts: steps };
}

/** The page and its plots, whose paths in it are relative. */
async function write(docs: string, figures: Omit<Report, "plots">, plots: Record<"length" | "vocabulary", Chart>) {
  const paths = { length: "img/distill-length.svg", vocabulary: "img/distill-vocabulary.svg" };
  mkdirSync(join(docs, "img"), { recursive: true });
  for (const plot of ["length", "vocabulary"] as const) writeFileSync(join(docs, paths[plot]), svg(plots[plot]));
  const text = await format(page({ ...figures, plots: paths }), { parser: "markdown", printWidth: 120 });
  writeFileSync(join(docs, "benchmarks.md"), text);
  console.log(`\n${sidesTable(figures.rows)}\n\n${findingsTable(figures.findings)}\n`);
}

export async function distill(args: string[]): Promise<Goal[]> {
  const { values } = parseArgs({
    args,
    options: {
      data: { type: "string", default: inRoot("..", "shared", "data") },
      quick: { type: "boolean", default: false },
    },
  });
  const size = values.quick ? QUICK : FULL;
  const root = join(STATE, "bench");
  const where = { folder: join(root, "smollm2"), work: join(root, "work") };
  const python = trlPython();
  const prepared = await prepare(size, values.data, where.folder);
  const jsd = await choose(python, where, JSD);
  const forwardKl = await choose(python, where, FORWARD_KL);
  const fastest = { jsd: trl(python, JSD, jsd.trainer), forwardKl: trl(python, FORWARD_KL, forwardKl.trainer) };
  const measured = await repetitions(size, where, fastest);
  const plots = await sweeps(size, root, where.folder);
  const choices = [jsd, forwardKl];
  const found = findings(measured, prepared.accounts, choices);
  const figures = {
    ...prepared,
    rows: rows(measured, prepared.accounts),
    findings: found,
    repetitions: size.repetitions,
    warmup: size.warmup,
    choices,
    gflops: median(measured.flatMap(({ answer }) => answer.notes.gflops_per_second ?? [])),
    machine: `${cpus().length} cores of ${cpus()[0]?.model ?? "an unknown processor"}`,
    date: new Date().toISOString().slice(0, 10),
  };
  await write(values.quick ? join(root, "docs") : inRoot("docs"), figures, plots);
  rmSync(where.work, { recursive: true, force: true });
  return found.map(({ what, value, goal, met }) => ({ what, value, goal, met }));
}
