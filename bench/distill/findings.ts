// From what was measured to the goals. Pure.
import type { Goal } from "../goal.ts";
import type { Choice, Measured } from "./sides.ts";
import { median, relativeDifference, sum } from "../stats.ts";

/** Of one step, as bench/distill/account.py counts it. */
export interface StepAccount {
  real: number;
  /** What rows begin with counted once. */
  once: number;
  responses: number;
  padded: number;
  flops: Record<string, number>;
}

/** Of one side, over its repetitions. */
export interface Row {
  side: string;
  repetitions: number;
  secondsPerStep: number;
  /** Response tokens a second. */
  tokensPerSecond: number;
  flopsPerStep: number;
  /** Highest resident memory of the steps above what was resident before the first, bytes. */
  peakBytes: number;
}

/** A goal with the ratio of FLOPs that stands beside a ratio of times; null where there is none. */
export interface Finding extends Goal {
  value: number;
  flops: number | null;
}

const LOSS_TOLERANCE = 1e-4;

/** Of one step of a run, on average. */
const average = (run: Measured, of: (batch: number) => number): number => sum(run.batches.map(of)) / run.batches.length;

export function rows(measured: Measured[], accounts: StepAccount[]): Row[] {
  const account = (batch: number): StepAccount => {
    const found = accounts[batch];
    if (!found) throw new Error(`batch ${batch} is not in rows.json`);
    return found;
  };
  return [...new Set(measured.map(({ side }) => side))].map((side) => {
    const runs = measured.filter((one) => one.side === side);
    const seconds = (run: Measured) => sum(run.seconds) / run.seconds.length;
    return {
      side,
      repetitions: runs.length,
      secondsPerStep: median(runs.map(seconds)),
      tokensPerSecond: median(runs.map((run) => average(run, (n) => account(n).responses) / seconds(run))),
      flopsPerStep: median(runs.map((run) => average(run, (n) => account(n).flops[side] ?? NaN))),
      peakBytes: median(runs.map(({ answer }) => answer.peak_bytes - answer.loaded_bytes)),
    };
  });
}

const atLeast = (what: string, value: number, goal: number, flops: number | null = null): Finding => ({
  what,
  value,
  goal,
  met: value >= goal,
  flops,
});

const atMost = (what: string, value: number, goal: number): Finding => ({
  what,
  value,
  goal,
  met: value <= goal,
  flops: null,
});

class Table {
  readonly #rows: Row[];
  readonly #measured: Measured[];

  constructor(measured: Measured[], accounts: StepAccount[]) {
    this.#rows = rows(measured, accounts);
    this.#measured = measured;
  }

  row(side: string): Row {
    const found = this.#rows.find((row) => row.side === side);
    if (!found) throw new Error(`${side} was not measured`);
    return found;
  }

  /** How often faster `side` is than `other`, and how often fewer its FLOPs are. */
  speedup(what: string, side: string, other: string, goal: number): Finding {
    const [ours, theirs] = [this.row(side), this.row(other)];
    const ratio = ours.tokensPerSecond / theirs.tokensPerSecond;
    return atLeast(what, ratio, goal, theirs.flopsPerStep / ours.flopsPerStep);
  }

  /** The largest relative difference of the losses of the first `steps`, warm-up included, over every repetition. */
  losses(what: string, side: string, other: string, steps?: number): Finding {
    const of = (name: string) =>
      this.#measured.filter((one) => one.side === name).map(({ answer }) => answer.losses.slice(0, steps));
    const theirs = of(other);
    const pairs = of(side).map((losses, repetition) => relativeDifference(losses, theirs[repetition] ?? []));
    return atMost(what, Math.max(...pairs), LOSS_TOLERANCE);
  }
}

export function findings(measured: Measured[], accounts: StepAccount[], choices: Choice[]): Finding[] {
  const table = new Table(measured, accounts);
  const memory = (phase: string) => table.row(`ours dpkd ${phase}`).peakBytes / table.row("plain").peakBytes;
  return [
    table.speedup("steps/s against plain, cache warm", "ours dpkd warm", "plain", 4),
    table.speedup("steps/s against plain, cache cold", "ours dpkd cold", "plain", 1.8),
    atMost("peak memory above the loaded models against plain, cache warm", memory("warm"), 0.5),
    atMost("peak memory above the loaded models against plain, cache cold", memory("cold"), 0.5),
    table.losses("loss of every step against plain, relative, cache warm", "ours dpkd warm", "plain"),
    table.losses("loss of every step against plain, relative, cache cold", "ours dpkd cold", "plain"),
    ...choices.flatMap(({ objective, trainer }) => {
      const theirs = `trl ${trainer} ${objective}`;
      return [
        table.speedup(`tokens/s against TRL on ${objective}, cache warm`, `ours ${objective} warm`, theirs, 2.5),
        table.speedup(`tokens/s against TRL on ${objective}, cache cold`, `ours ${objective} cold`, theirs, 1.3),
        table.losses(`loss of step 1 against TRL on ${objective}, relative`, `ours ${objective} warm`, theirs, 1),
      ];
    }),
    atLeast(
      "share of the floor, cache warm",
      table.row("floor").secondsPerStep / table.row("ours dpkd warm").secondsPerStep,
      0.6,
      table.row("floor").flopsPerStep / table.row("ours dpkd warm").flopsPerStep,
    ),
  ];
}
