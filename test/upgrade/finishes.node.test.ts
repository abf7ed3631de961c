// Today's stack goes on from what an older version left behind, and finishes everything.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startStack } from "../../scripts/stack/stack.ts";
import type { Stack } from "../../scripts/stack/stack.ts";
import { startWorker, stopWorker } from "../../scripts/stack/worker.ts";
import { openFixture, ownFingerprint } from "./fixture.ts";
import type { Fixture } from "./fixture.ts";
import type { Outcome } from "./outcome.ts";
import { settled } from "./settled.ts";
import { databaseWith } from "./stored.ts";

const start = ({ state, models }: Fixture): Promise<Stack> =>
  startStack({ folder: state, port: 0, workers: 0, models });

/** Starts today's stack with one worker of one thread on the fixture's state. */
async function finish(fixture: Fixture): Promise<Outcome> {
  const stack = await start(fixture);
  const worker = startWorker({ ...stack.worker("worker-2"), threads: 1 });
  try {
    return await settled({ url: stack.url, key: fixture.expected.secrets.admin });
  } finally {
    await stopWorker(worker);
    await stack.stop();
  }
}

/** Brings the store here, and has its runs be of an engine before this one. */
async function ofAnOlderEngine(fixture: Fixture): Promise<void> {
  await (await start(fixture)).stop();
  const database = new DatabaseSync(databaseWith(join(fixture.state, "pool"), "outbox"));
  database.prepare("UPDATE runs SET engine = -1, fingerprint = ?").run("0".repeat(64));
  database.close();
}

const withoutBits = ({ runs, evaluations, jobs }: Outcome) => ({
  runs: runs.map(({ id, status, head, target, error }) => ({ id, status, head, target, error })),
  evaluations: evaluations.map(({ id, status, n, done }) => ({ id, status, n, done })),
  jobs: jobs.map(({ id, kind, status, subject }) => ({ id, kind, status, subject })),
});

describe.each(["0.1.0"])("the state of %s", (name) => {
  let folder: string;
  let fixture: Fixture;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "understudy-upgrade-"));
    fixture = openFixture(name, folder);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test("is finished to the same bits by a worker of the same fingerprint", async ({ skip }) => {
    const own = ownFingerprint();
    skip(
      own.digest !== fixture.expected.fingerprint.digest,
      `the state was made on another processor, by other libraries, or by an engine before ${own.engine}`,
    );
    expect(await finish(fixture)).toEqual(fixture.expected.outcome);
  });

  test("is finished in a new lineage, begun at once, by a worker of a later engine", async () => {
    await ofAnOlderEngine(fixture);
    const outcome = await finish(fixture);
    expect(withoutBits(outcome)).toEqual(withoutBits(fixture.expected.outcome));
    const before = fixture.expected.outcome.runs;
    for (const [index, run] of outcome.runs.entries()) {
      const was = before[index]?.steps ?? [];
      if (run.name !== "middle") {
        expect(run.steps).toEqual(was);
        continue;
      }
      expect(run.lineage).toBe(1);
      expect(run.lineage_breaks).toMatchObject([
        { lineage: 1, from: 20, reason: expect.stringContaining("engine -1") },
      ]);
      const chain = run.steps.filter(({ superseded }) => !superseded);
      expect(chain.map(({ step }) => step)).toEqual(Array.from({ length: run.target }, (_, i) => i + 1));
      const kept = run.steps.filter(({ lineage }) => lineage === 0);
      expect(kept.map(({ hash }) => hash)).toEqual(was.slice(0, 32).map(({ hash }) => hash));
      expect(kept.filter(({ superseded }) => superseded).map(({ step }) => step)).toEqual(
        Array.from({ length: 12 }, (_, i) => 21 + i),
      );
    }
  });
});
