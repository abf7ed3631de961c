import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PreferenceRecordList } from "../../src/wire/preference-evaluations.ts";
import { BASE, JudgedProject, margin } from "./judging.ts";

let judged: JudgedProject;
beforeAll(async () => {
  judged = await JudgedProject.create();
});
afterAll(() => judged.close());

describe("closeness to a teacher", () => {
  const generation = { max_new_tokens: 8 };
  const body = { teacher: "teacher", dataset: "prompts", generation };
  const query = `kind=closeness&dataset=prompts&teacher=teacher&generation=${encodeURIComponent(JSON.stringify(generation))}`;
  const logit = (p: number) => Math.log(p / (1 - p));
  /** The student's output is preferred with this probability. */
  const preferred = (p: number) => margin(-logit(p) / 0.1);

  it("is the mean probability that the student's own output is preferred", async () => {
    const evaluation = await judged.evaluated({ ...body, student: "a" }, (i) => preferred(i % 2 === 0 ? 0.6 : 0.8));
    expect(evaluation).toMatchObject({ kind: "closeness", metrics: { accuracy: null }, generation });
    expect(evaluation.metrics!.student_preferred!.mean).toBeCloseTo(70, 9);
    expect(evaluation.note).toMatch(/closeness to that teacher, not quality/);
    const page = await judged.ask("GET", `${BASE}/${evaluation.id}/records?limit=1`);
    const [record] = PreferenceRecordList.parse(page.body).data;
    expect(record).toMatchObject({
      seed: 10,
      chosen: { response: "teacher on test-0", finish_reason: "stop" },
      rejected: { response: "student on test-0" },
      correct: null,
    });
    expect(record!.probability).toBeCloseTo(0.4, 9);
  });

  it("ranks by Bradley-Terry, the teacher at 0, the closest first", async () => {
    await judged.evaluated({ ...body, student: "b" }, (i) => preferred(i % 4 === 0 ? 0.45 : 0.55));
    const found = await judged.board(query);
    expect(found).toMatchObject({ teacher: judged.teacher, beta: 0.1, kind: "closeness", generation });
    expect(found.note).toMatch(/closeness to that teacher, not quality/);
    expect(found.data.map(({ student_name, rank, group }) => [student_name, rank, group])).toEqual([["b", 1, 1], ["a", 2, 2]]); // prettier-ignore
    const [b, a] = found.data;
    expect(b!.mean).toBeCloseTo(52.5, 9);
    expect(b!.strength!.value).toBeCloseTo(logit(0.525), 9);
    expect(a!.strength!.value).toBeCloseTo(logit(0.7), 9);
    for (const { strength, low, high } of found.data) {
      expect(strength!.low).toBeCloseTo(logit(low / 100), 9);
      expect(strength!.high).toBeCloseTo(logit(high / 100), 9);
    }
    // A sample of 0.6 and 0.8 by halves: sd 0.1, so 0.7 -+ 1.96 * 0.1 / sqrt(40).
    expect(a!.low).toBeCloseTo(100 * (0.7 - 0.031), 0);
    expect(a!.high).toBeCloseTo(100 * (0.7 + 0.031), 0);
    expect(a!.p_vs_best).toBeLessThan(0.001);
  });

  it("has no finite strength where every comparison is won", async () => {
    const certain = await judged.evaluated({ ...body, student: "c" }, () => margin(-1000));
    expect(certain.metrics!.student_preferred).toMatchObject({ mean: 100, low: 100, high: 100 });
    const last = (await judged.board(query)).data.at(-1)!;
    expect(last).toMatchObject({ student_name: "c", rank: 3, strength: { value: null, low: null, high: null } });
  });

  it("takes the mean over seeds; another beta, teacher or generation is another board", async () => {
    const seeds = { ...generation, temperature: 1, seeds: [1, 2] };
    const asked = { ...body, student: "a", generation: seeds, limit: 5 };
    const evaluation = await judged.evaluated(asked, (_, seed) => preferred(seed === 1 ? 0.5 : 0.7));
    expect(evaluation).toMatchObject({ n: 5, done: 10 });
    expect(evaluation.metrics!.student_preferred).toMatchObject({ n: 5 });
    expect(evaluation.metrics!.student_preferred!.mean).toBeCloseTo(60, 9);
    const of = (json: object) => `generation=${encodeURIComponent(JSON.stringify(json))}`;
    const near = `kind=closeness&dataset=prompts&teacher=teacher&limit=5`;
    expect((await judged.board(`${near}&${of(seeds)}`)).data).toHaveLength(1);
    expect((await judged.board(`${near}&${of(generation)}`)).data).toEqual([]);
    expect((await judged.board(`${query}&beta=0.2`)).data).toEqual([]);
    expect((await judged.board(query.replace("teacher=teacher", "teacher=other-teacher"))).data).toEqual([]);
    for (const [wrong, param] of [
      ["", "teacher"],
      ["&teacher=teacher&generation=x", "generation"],
    ]) {
      const refused = await judged.ask("GET", `/v1/preference-leaderboard?kind=closeness&dataset=prompts${wrong}`);
      expect(refused).toMatchObject({ status: 400, body: { error: { param } } });
    }
    const twice = await judged.post({ ...body, student: "a", generation: { seeds: [1, 1] } });
    expect(twice).toMatchObject({ status: 400, body: { error: { param: "generation.seeds" } } });
  });
});
