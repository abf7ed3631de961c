// A fixture is what it says, and today's stack starts on it.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startStack } from "../../scripts/stack/stack.ts";
import type { Stack } from "../../scripts/stack/stack.ts";
import { collect } from "../e2e/harness.ts";
import { MAX_BYTES, archiveOf, openFixture } from "./fixture.ts";
import type { Fixture } from "./fixture.ts";
import { mentions } from "./maker/files.ts";
import { conditions, readStored } from "./stored.ts";
import type { Stored } from "./stored.ts";

const NAMES = ["0.1.0"];

const ids = (items: readonly { id: string }[]): string[] => items.map(({ id }) => id).sort();

describe.each(NAMES)("the fixture of %s", (name) => {
  let folder: string;
  let fixture: Fixture;
  let stored: Stored;
  let stack: Stack | undefined;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "understudy-upgrade-"));
    fixture = openFixture(name, folder);
    stored = readStored(fixture.state);
  });
  afterAll(async () => {
    await stack?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("is small, and names no folder of the machine that made it", () => {
    expect(statSync(archiveOf(name)).size).toBeLessThanOrEqual(MAX_BYTES);
    expect(fixture.expected.version).toBe(name);
    expect(mentions(folder, ["/tmp/", "/work/", "/home/", "/root/"])).toEqual([]);
  });

  test("holds everything that an upgrade must get through", () => {
    const held = conditions(stored, fixture.expected.killed_at);
    expect(held).toEqual(Object.fromEntries(Object.keys(held).map((condition) => [condition, true])));
  });

  test("is what its expected outcome goes on from", () => {
    const { runs, evaluations, preference_evaluations, jobs } = fixture.expected.outcome;
    expect(ids(stored.runs)).toEqual(ids(runs));
    expect(ids(stored.jobs)).toEqual(ids(jobs));
    const generated = evaluations.filter(({ records }) => records.some(({ num_tokens }) => num_tokens !== null));
    expect(ids(stored.evaluations)).toEqual(ids([...generated, ...preference_evaluations]));
    expect(runs.map(({ status }) => status)).toEqual(runs.map(() => "completed"));
  });

  test("is read by today's stack, which tells D1 the rest", async () => {
    stack = await startStack({ folder: fixture.state, port: 0, workers: 0, models: fixture.models });
    const { secrets, outcome } = fixture.expected;
    expect(stack.keys.admin).toBe(secrets.admin);
    const client = stack.client(secrets.reader);
    expect(ids(await collect(client.runs.list()))).toEqual(ids(outcome.runs));
    for (const { id, head, steps } of stored.runs) {
      expect(await client.runs.get(id)).toMatchObject({ head });
      await expect.poll(() => collect(client.runs.steps(id))).toHaveLength(steps);
    }
    await expect.poll(async () => ids(await collect(client.evaluations.list()))).toEqual(ids(outcome.evaluations));
    await expect
      .poll(async () => ids(await collect(client.preferenceEvaluations.list())))
      .toEqual(ids(outcome.preference_evaluations));
  });
});
