// What a turn costs does not depend on what others do, nor on what was ever done: counted, beside each kind of neighbour.
// That no turn at all costs more than it may is asserted after every test of the pool (setup.ts).
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { submitJob } from "../../src/pool/requests/jobs.ts";
import { scoreJob } from "./fixtures.ts";
import { freshPool } from "./harness.ts";
import { Simulation } from "./simulation.ts";

/** Copies of one job of another project, made in SQL: so many, with these columns changed. */
function copies(sim: Simulation, many: number, changes: Record<string, string>): void {
  const { sql } = sim.storage;
  const job = scoreJob({ project: "proj_other" });
  sim.turn((turn) => submitJob(turn, job));
  const columns = sql
    .exec("SELECT name FROM pragma_table_info('jobs')")
    .toArray()
    .map(({ name }) => z.string().parse(name));
  const values = columns.map((name) => changes[name] ?? (name === "id" ? "'copy' || n" : `"${name}"`));
  sql.exec(
    `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
     INSERT INTO jobs SELECT ${values.join(", ")} FROM jobs, numbers WHERE id = ?`,
    many,
    job.id,
  );
}

const NEIGHBOURS: Record<string, (sim: Simulation) => void> = {
  "50,000 jobs that have ended": (sim) => copies(sim, 50_000, { status: "'completed'", line: "NULL" }),
  "10,000 jobs that wait": (sim) => copies(sim, 10_000, {}),
  "1,000 jobs that were refused": (sim) => {
    copies(sim, 1000, { line: "line || ' !boot'" });
    sim.storage.sql.exec("INSERT INTO refusals SELECT id, 'boot' FROM jobs WHERE id LIKE 'copy%'");
  },
};

/** What the victim's turns cost, from a worker's hello over its steps to the run's end, in statements and rows read. */
async function victim(neighbour: (sim: Simulation) => void): Promise<{ statements: number[]; rows: number[] }> {
  return runInDurableObject(freshPool(), (_instance, { storage }) => {
    const sim = new Simulation(storage);
    neighbour(sim);
    // As after a restart: the queue is found again.
    sim.overview.forget();
    sim.turn(() => undefined);
    sim.costs.length = 0;
    const [worker] = sim.workers;
    if (worker === undefined) throw new Error("no worker");
    sim.connect(worker);
    for (let times = 0; times < 30; times += 1) sim.work(worker);
    expect(sim.tables.runs.get(sim.run)?.status).toBe("completed");
    return { statements: sim.costs.map((cost) => cost.statements), rows: sim.costs.map((cost) => cost.rows) };
  });
}

describe("a run's turns", () => {
  test.each(Object.entries(NEIGHBOURS))("cost the same beside %s", async (_name, neighbour) => {
    const alone = await victim(() => undefined);
    const beside = await victim(neighbour);
    expect(beside.statements).toEqual(alone.statements);
    const sum = (rows: number[]): number => rows.reduce((total, count) => total + count, 0);
    expect(sum(beside.rows)).toBeLessThanOrEqual(1.1 * sum(alone.rows));
  });
});
