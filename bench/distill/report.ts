// The page docs/benchmarks.md and the table in the terminal, from the same figures. Pure.
import type { Finding, Row, StepAccount } from "./findings.ts";
import type { Choice } from "./sides.ts";
import { sum } from "../stats.ts";

export interface Report {
  rows: Row[];
  findings: Finding[];
  accounts: StepAccount[];
  /** Where the rows came from. */
  source: string;
  repetitions: number;
  warmup: number;
  choices: Choice[];
  gflops: number;
  machine: string;
  versions: Record<string, string>;
  date: string;
  /** Paths of the plots, as the page links them. */
  plots: { length: string; vocabulary: string };
}

const MIB = 2 ** 20;

export function table(header: string[], lines: string[][]): string {
  const all = [header, header.map((_, i) => (i === 0 ? "---" : "---:")), ...lines];
  const widths = header.map((_, i) => Math.max(...all.map((line) => line[i]?.length ?? 0)));
  return all.map((line) => `| ${line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`).join("\n");
}

const figure = (value: number): string => (value !== 0 && value < 0.01 ? value.toExponential(1) : value.toFixed(2));

export const sidesTable = (rows: Row[]): string =>
  table(
    ["side", "s a step", "response tokens/s", "GFLOP a step", "peak above loaded, MiB", "repetitions"],
    rows.map((row) => [
      row.side,
      row.secondsPerStep.toFixed(2),
      row.tokensPerSecond.toFixed(0),
      (row.flopsPerStep / 1e9).toFixed(0),
      row.side === "floor" ? "" : (row.peakBytes / MIB).toFixed(0),
      String(row.repetitions),
    ]),
  );

export const findingsTable = (findings: Finding[]): string =>
  table(
    ["what", "measured", "goal", "met", "ratio of FLOPs"],
    findings.map(({ what, value, goal, met, flops }) => [
      what,
      figure(value),
      figure(goal),
      met ? "yes" : "no",
      flops === null ? "" : flops.toFixed(2),
    ]),
  );

const share = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)}%`;

function setting(report: Report): string {
  const total = (key: "real" | "once" | "responses" | "padded") => sum(report.accounts.map((step) => step[key]));
  const tokens = (count: number) => (count / report.accounts.length).toFixed(0);
  const [real, padded] = [total("real"), total("padded")];
  return `Rows: ${report.source}; a batch of 8 has on average ${tokens(real)} tokens, ${tokens(total("responses"))} of them in responses.
Padded to the longest it has ${tokens(padded)}, of which ${share(padded - real, padded)} is padding; ours lays sequences in one row and has none.
What rows begin with, such as a template's system message, ours computes once a batch: ${tokens(total("once"))} tokens are left.

Teacher SmolLM2-135M-Instruct, student its copy of 10 layers, fp32, 2 threads, AdamW (fused), clip 1.0.
Every side and phase is a process of its own; the first ${report.warmup} steps are dropped; medians over ${report.repetitions} repetitions
(where the table says fewer, over those), each on another batch, in alternating order. A token is a response token.
Warm reads and verifies the cache that cold computed and wrote.`;
}

function meaning(report: Report): string {
  const steps = (trainer: "gkd" | "chunked") =>
    report.choices
      .map(({ objective, seconds }) => `${seconds[trainer].toFixed(1)} s a step on ${objective}`)
      .join(", ");
  return `- \`plain\` is token-level DPKD as commonly written (bench/distill/plain.py): both models forward every padded batch, all logits, separate losses.
- \`trl\` is TRL ${report.versions.trl ?? ""} on its own objective with \`temperature=1\`, without gradient checkpointing. Of its trainers the one that a trial found faster is measured:
  \`gkd\` (GKDTrainer, \`lmbda=0\`, full logits; it has no fused loss) took ${steps("gkd")},
  \`chunked\` (DistillationTrainer, whose loss works in tiles, handed the rows' responses instead of its samples) ${steps("chunked")}.
  Liger's kernels need Triton, which this machine's torch lacks.
- \`floor\` is three times the student's matrix products on real tokens (what rows begin with counted once), output matrix at response positions only, timed as bare products of the same shapes: ${report.gflops.toFixed(0)} GFLOP/s.
- \`ours\` is the worker's \`take_step\` with the worker's own settings, of which one matters to times: freed memory is kept for the next tensor.
  The other sides run with the C library's defaults, as they are commonly run.
- FLOPs count the products of the body's linears and of the output matrix, on padded tokens where a side pads, on what is left of shared beginnings where it shares them; not those inside attention.
- Peak above loaded: the high-water mark of resident memory during the steps, less what was resident before the first one with the models loaded and the optimizer made.
  So gradients and the optimizer's moments (12 bytes a student parameter, the same on all sides) are in it. Both figures come from /proc/self/status.`;
}

export const page = (report: Report): string => `# Benchmarks

Written by \`npm run bench -- distill\` on ${report.date}, on ${report.machine};
${Object.entries(report.versions)
  .map(([name, version]) => `${name} ${version}`)
  .join(", ")}.

## Distillation steps

${setting(report)}

${sidesTable(report.rows)}

${findingsTable(report.findings)}

${meaning(report)}

Batches of 8 rows of equal lengths, half prompt and half response, on the models above:

![Seconds a step by sequence length](${report.plots.length})

Batches of 8 rows of 128 tokens, half of them response, on random Llama-like models of hidden size 256 with 4 and 2 layers:

![Peak memory by vocabulary](${report.plots.vocabulary})
`;
