// The main job: tune a teacher, prune a student, evaluate, distil, evaluate again, score, compare, rank.
import type { Understudy } from "../src/sdk/index.ts";
import { drawBoard } from "./board.ts";
import { evaluate, registered, toldOfWorker } from "./follow.ts";
import { RECIPE } from "./recipe.ts";
import { compareOutputs, scoreResponses } from "./rewards.ts";
import type { Pair } from "./rewards.ts";
import { bold, note, say } from "./terminal.ts";
import type { Phases } from "./terminal.ts";
import { finalCheckpoint, number, train } from "./training.ts";

const BASE = "smollm2-135m-instruct";
const DATASET = "short-answers";
const STUDENT = "student-before";

export interface MainJob {
  /** The data set as JSON Lines. */
  rows: string;
  /** Also train a second student by SFT alone, at equal steps. */
  control: boolean;
}

const common = {
  dataset: DATASET,
  split: "train",
  batch_size: RECIPE.batch_size,
  max_prompt_length: RECIPE.max_prompt_length,
  max_length: RECIPE.max_length,
};

async function prepare(client: Understudy, rows: string): Promise<void> {
  await toldOfWorker(client);
  const model = await registered(client, { name: BASE, source: { type: "local", name: BASE } });
  say(`    teacher ${BASE}: ${model.layers} layers, ${(model.parameters / 1e6).toFixed(0)} M parameters`);
  const dataset = await client.uploadDataset(DATASET, rows);
  const splits = Object.entries(dataset.splits).map(([name, count]) => `${count} ${name}`);
  say(`    data set ${DATASET}: ${splits.join(", ")} (sha256 ${dataset.sha256.slice(0, 12)})`);
}

async function tune(client: Understudy): Promise<string> {
  note("As in the paper, the teacher first learns the task itself: supervised fine-tuning on the train split.");
  const { optimizer } = RECIPE.tune;
  const { run } = await train(client, {
    ...common,
    name: "tune-teacher",
    student: { model: BASE },
    objective: { type: "sft" },
    optimizer,
  });
  const teacher = await finalCheckpoint(client, run);
  say(`    the tuned teacher is the checkpoint ${teacher}`);
  return teacher;
}

async function prune(client: Understudy, teacher: string): Promise<void> {
  const source = { type: "prune", model: teacher, keep_layers: RECIPE.keep_layers } as const;
  const facts = await registered(client, { name: STUDENT, source });
  say(
    `    ${STUDENT}: layers ${(facts.layer_indices ?? []).join(" ")}, ${(facts.parameters / 1e6).toFixed(0)} M parameters`,
  );
}

async function distil(client: Understudy, teacher: string): Promise<string> {
  const { optimizer, objective } = RECIPE.distill;
  const student = { model: STUDENT };
  const { run, first, last } = await train(client, {
    ...common,
    name: "distil",
    teacher,
    student,
    objective,
    optimizer,
  });
  const margins = [first, last].map((step) => number(step.metrics["margin/token_mean"], 2));
  note(
    `The margin went from ${margins.join(" to ")}. It compares the teacher's favourite token with the student's own under both ` +
      "models, so it is never positive: 0 is perfection, not failure. The LM loss falls as the student learns the answers; " +
      "the agreement is how often both have the same favourite token.",
  );
  return finalCheckpoint(client, run);
}

async function trainControl(client: Understudy): Promise<string> {
  note(
    "The same student, steps and learning rate, with cross entropy alone: the board says whether distillation made a difference.",
  );
  const { optimizer } = RECIPE.distill;
  const student = { model: STUDENT };
  const { run } = await train(client, {
    ...common,
    name: "control-sft",
    student,
    objective: { type: "sft" },
    optimizer,
  });
  return finalCheckpoint(client, run);
}

async function rank(client: Understudy, names: Map<string, string>): Promise<void> {
  const board = await client.evaluations.leaderboard({ dataset: DATASET, split: "test" });
  say(`\n${drawBoard(board, names)}\n`);
  note(
    "Exact match: the share of held-out answers that equal the reference, letter case and punctuation aside. The bar is the 95% " +
      "interval: the range in which the true share plausibly lies, given so few items. A group holds models that the paired " +
      "test cannot tell apart from its leader; p vs best is that test's, corrected for their number.",
  );
  if (board.detectable_difference !== null) {
    note(
      `With this many items, differences under about ${board.detectable_difference.toFixed(0)} points cannot be told from chance.`,
    );
  }
}

export async function runMainJob(client: Understudy, { rows, control }: MainJob, phases: Phases): Promise<Pair> {
  await phases.run("Register the model and upload the data set", () => prepare(client, rows));
  const teacher = await phases.run("Tune the teacher", () => tune(client));
  await phases.run("Prune the teacher to a student", () => prune(client, teacher));
  const names = new Map([[teacher, "teacher (tuned)"]]);
  const test = { dataset: DATASET, split: "test", generation: RECIPE.generation };
  await phases.run("Evaluate both on the held-out split", async () => {
    await evaluate(client, "teacher", { ...test, model: teacher });
    const before = await evaluate(client, "student", { ...test, model: STUDENT });
    names.set(before.model, "student, before");
    note("The dropped layers broke the student: its answers are worth little until it has learned to do without them.");
  });
  const student = await phases.run("Distil: take DPKD steps", () => distil(client, teacher));
  names.set(student, "student, after DPKD");
  await phases.run("Evaluate the student again", () => evaluate(client, "student", { ...test, model: student }));
  if (control) {
    const sft = await phases.run("Train the control by SFT", () => trainControl(client));
    names.set(sft, "control, after SFT");
    await phases.run("Evaluate the control", () => evaluate(client, "control", { ...test, model: sft }));
  }
  await phases.run("Score three responses by implicit reward", () => scoreResponses(client, { teacher, student }));
  await phases.run("Compare a teacher output with a student output", () =>
    compareOutputs(client, { teacher, student }),
  );
  await phases.run("Rank: the leaderboard", () => rank(client, names));
  say(`\n${bold("Done.")} The student that learned is the model ${student}.`);
  return { teacher, student };
}
