// What the fixture's project does: small enough that its files stay below 2 MB.

const WORDS = ["red", "green", "blue", "one", "two", "three"];
const rowOf = (split: string, i: number) => {
  const word = WORDS[i % WORDS.length];
  return { id: `${split}-${i}`, split, prompt: `Say the word ${word}, and nothing else (${i}).`, completion: word };
};
const jsonl = (rows: object[]): string => rows.map((row) => JSON.stringify(row)).join("\n");
const TEST_ROWS = Array.from({ length: 40 }, (_, i) => rowOf("test", i));

export const WORDS_JSONL = jsonl([...Array.from({ length: 24 }, (_, i) => rowOf("train", i)), ...TEST_ROWS]);
/** The last pair ties. */
export const PAIRS_JSONL = jsonl(
  WORDS.map((word, i) => ({
    id: `pair-${i}`,
    split: "test",
    prompt: `Say the word ${word}.`,
    chosen: word,
    rejected: i === 5 ? word : `not ${word}, but another`,
  })),
);

/** A finished run, which makes of the tiny model one that often says the word. */
export const TAUGHT_STEPS = 100;
export const TAUGHT_RUN = {
  name: "taught",
  student: { model: "tiny" },
  dataset: "words",
  batch_size: 8,
  objective: { type: "sft" },
  optimizer: { learning_rate: 1e-2, total_steps: TAUGHT_STEPS, warmup_steps: 10 },
};

/** `half` is a pruned copy of the teacher, a checkpoint. */
const distilled = (teacher: string) => ({ teacher, student: { model: "half" }, dataset: "words", batch_size: 6 });

/** A finished run, whose student's answers are in the journal. */
export const SAMPLED_STEPS = 8;
export const sampledRun = (teacher: string) => ({
  ...distilled(teacher),
  name: "sampled",
  objective: { type: "dpkd", granularity: "sequence", sampling: { max_new_tokens: 6, refresh_every: 4 } },
  optimizer: { learning_rate: 2e-3, total_steps: SAMPLED_STEPS },
});

/** The run that the crash interrupts: it stops once at `pausedAt`, and is killed from `killFrom` to `killTo`. */
export const MIDDLE = { resumeAt: 20, pausedAt: 24, killFrom: 32, killTo: 54, total: 60 };
export const middleRun = (teacher: string) => ({
  ...distilled(teacher),
  name: "middle",
  objective: { type: "dpkd" },
  optimizer: { learning_rate: 2e-3, total_steps: MIDDLE.total },
  checkpoint_every: 10,
});

const GENERATION = { max_new_tokens: 8 };
export const evaluationOf = (model: string) => ({ model, dataset: "words", generation: GENERATION });

/** 200 answers in 7 batches, of which a lease holds 4. */
export const halfDoneEvaluation = (model: string) => ({
  model,
  dataset: "words",
  generation: { max_new_tokens: 8, temperature: 1, seeds: [1, 2, 3, 4, 5] },
});

/** Two of three are right. */
export const GIVEN_EVALUATION = {
  name: "somebody",
  dataset: "words",
  responses: TEST_ROWS.map(({ id, completion }, i) => ({ id, response: i % 3 === 0 ? "none of them" : completion })),
};

export const accuracyOf = (teacher: string) => ({ student: "half", teacher, dataset: "pairs", beta: 0.5 });
export const closenessOf = (teacher: string) => ({
  student: "half",
  teacher,
  dataset: "words",
  generation: GENERATION,
});

export const scoresOf = (teacher: string) => ({
  teacher,
  student: "half",
  prompt: "Say the word red, and nothing else.",
  responses: ["red", "blue"],
  compute: "pool",
});
