// The pool at the size of its users: how many jobs a second after a long history, and who is lost when the object dies.
import { readdirSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { startStack } from "../scripts/stack/stack.ts";
import type { Stack } from "../scripts/stack/stack.ts";
import type { Understudy } from "../src/sdk/index.ts";
import type { Goal } from "./goal.ts";
import { ScriptedWorker } from "./size/scripted.ts";
import { median } from "./stats.ts";

const PROJECTS = 8;
/** Requests of each project at a time. */
const AT_ONCE = 4;
const ROUNDS = 5;
const WORKERS_A_KEY = 250;

interface Options {
  /** Jobs that the pool ends itself, and how often each is copied. */
  jobs: number;
  copies: number;
  workers: number;
}

interface Tenant {
  client: Understudy;
  model: string;
}

const operatorOf = (stack: Stack): Understudy => stack.client(stack.secrets.operator);

async function tenants(stack: Stack): Promise<Tenant[]> {
  const operator = operatorOf(stack);
  const names = Array.from({ length: PROJECTS }, (_, i) => `size-${i}-${Date.now()}`);
  return Promise.all(
    names.map(async (name) => {
      const project = await operator.createProject({ name });
      const client = stack.client(project.admin_key ?? "");
      const model = await client.createModel({ name: "scripted", source: { type: "local", name: "scripted" } });
      return { client, model: model.id };
    }),
  );
}

async function workerKey(stack: Stack): Promise<string> {
  const key = await operatorOf(stack).createKey({ name: "scripted", role: "worker" });
  return key.secret ?? "";
}

let asked = 0;

/** Ends so many jobs by scripted workers; jobs a second. */
async function endJobs(all: readonly Tenant[], count: number): Promise<number> {
  let left = count;
  const began = performance.now();
  const ask = async ({ client, model }: Tenant): Promise<void> => {
    while (left > 0) {
      left -= 1;
      asked += 1;
      // No text twice: what was scored before makes no job.
      const responses = [`response ${asked} of ${began}`];
      await client.scores({ teacher: model, student: model, prompt: "p", responses, compute: "pool" });
    }
  };
  await Promise.all(all.flatMap((tenant) => Array.from({ length: AT_ONCE }, () => ask(tenant))));
  return count / ((performance.now() - began) / 1000);
}

async function ready(all: readonly Tenant[]): Promise<void> {
  for (const { client, model } of all) {
    while ((await client.model(model)).status !== "ready") await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Jobs a second, the median of a few rounds, with one scripted worker. */
async function rate(stack: Stack): Promise<number> {
  const all = await tenants(stack);
  const where = { url: stack.url, key: await workerKey(stack), name: "scripted", holds: false, requests: 64 };
  const worker = new ScriptedWorker(where);
  await worker.connect();
  await ready(all);
  const rates: number[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const found = await endJobs(all, 300);
    // The first round warms up.
    if (round > 0) rates.push(found);
  }
  worker.close();
  return median(rates);
}

/** Copies of the finished jobs, as if there had been so many times more. The stack must not run. */
function copyHistory(folder: string, copies: number): number {
  const path = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".sqlite"));
  for (const name of path) {
    const database = new DatabaseSync(join(folder, name));
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    if (tables.some((table) => table.name === "leases")) {
      for (const [table, id] of [
        ["jobs", "id"],
        ["bodies", "job"],
        ["fences", "owner"],
      ] as const) {
        const columns = database.prepare(`SELECT name FROM pragma_table_info('${table}')`).all();
        const values = columns.map((column) => (column.name === id ? `n || ${id}` : `"${String(column.name)}"`));
        database.exec(
          `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${copies})
           INSERT INTO ${table} SELECT ${values.join(", ")} FROM ${table}, numbers WHERE ${id} LIKE 'job_%'`,
        );
      }
      const row = database.prepare("SELECT count(*) AS n FROM jobs WHERE status = 'completed'").get();
      database.close();
      return Number(row?.n);
    }
    database.close();
  }
  throw new Error(`no pool in ${folder}`);
}

async function history(folder: string, { jobs, copies }: Options): Promise<Goal> {
  const options = { folder, port: 0, workers: 0, models: {} };
  let stack = await startStack(options);
  const before = await rate(stack);
  const all = await tenants(stack);
  const where = { url: stack.url, key: await workerKey(stack), name: "history", holds: false, requests: 64 };
  const worker = new ScriptedWorker(where);
  await worker.connect();
  await ready(all);
  for (let done = 0; done < jobs; done += 1000) {
    await endJobs(all, Math.min(1000, jobs - done));
    process.stdout.write(process.stdout.isTTY ? `\r${done} of ${jobs} jobs` : "");
  }
  worker.close();
  await stack.stop();
  const there = copyHistory(folder, copies);
  stack = await startStack(options);
  const after = await rate(stack);
  await stack.stop();
  console.log(`\njobs a second: ${before.toFixed(0)} without history, ${after.toFixed(0)} after ${there} jobs`);
  return { what: `throughput after ${there} jobs`, value: after / before, goal: 0.9, met: after / before >= 0.9 };
}

/** So many workers hold a lease each, and the runtime dies with all sockets. */
async function restart(folder: string, { workers: count }: Options): Promise<Goal[]> {
  const options = { folder, port: 0, workers: 0, models: {} };
  let stack = await startStack(options);
  const all = await tenants(stack);
  const first = new ScriptedWorker({
    url: stack.url,
    key: await workerKey(stack),
    name: "one",
    holds: false,
    requests: 8,
  });
  await first.connect();
  await ready(all);
  first.close();
  const keys: string[] = [];
  while (keys.length * WORKERS_A_KEY < count) keys.push(await workerKey(stack));
  const make = (url: string, i: number): ScriptedWorker =>
    new ScriptedWorker({
      url,
      key: keys[Math.floor(i / WORKERS_A_KEY)] ?? "",
      name: `w${i}`,
      holds: true,
      requests: 1,
    });
  const workers = Array.from({ length: count }, (_, i) => make(stack.url, i));
  for (const worker of workers) await worker.connect();
  const asks = Array.from({ length: count }, async (_, i) => {
    const tenant = all[i % PROJECTS];
    if (tenant === undefined) return;
    const body = { teacher: tenant.model, student: tenant.model, prompt: "p", responses: [`held ${i}`] };
    await tenant.client.scores({ ...body, compute: "pool" }).catch(() => undefined);
  });
  void Promise.allSettled(asks);
  const renew = setInterval(() => {
    for (const worker of workers) worker.tick();
  }, 5000);
  const held = (): number => workers.filter((worker) => worker.held.size > 0).length;
  const until = Date.now() + 120_000;
  while (held() < count && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 200));
  console.log(`${held()} of ${count} workers hold a lease`);
  clearInterval(renew);
  const port = Number(new URL(stack.url).port);
  await stack.stop();
  stack = await startStack({ ...options, port });
  const began = performance.now();
  // Each dials again at a random time within two seconds, as workers do.
  await Promise.all(
    workers.map(async (worker) => {
      await new Promise((resolve) => setTimeout(resolve, 2000 * Math.random()));
      await worker.connect();
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  // Longer than the grace: whatever would be judged has been.
  for (let passed = 0; passed < 35; passed += 5) {
    for (const worker of workers) worker.tick();
    await new Promise((resolve) => setTimeout(resolve, 5000));
  }
  const lost = workers.reduce((total, worker) => total + worker.lost, 0);
  for (const worker of workers) worker.close();
  await stack.stop();
  console.log(`all back after ${seconds.toFixed(1)} s, ${lost} leases lost`);
  return [
    { what: `${count} workers: seconds until all are back`, value: seconds, goal: 20, met: seconds <= 20 },
    { what: `${count} workers: leases lost`, value: lost, goal: 0, met: lost === 0 },
  ];
}

export async function size(args: string[]): Promise<Goal[]> {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string", default: "history,restart" },
      jobs: { type: "string", default: "50000" },
      copies: { type: "string", default: "19" },
      workers: { type: "string", default: "1000" },
    },
  });
  const options = { jobs: Number(values.jobs), copies: Number(values.copies), workers: Number(values.workers) };
  console.log(`on ${cpus()[0]?.model ?? "an unknown processor"}, ${cpus().length} cores`);
  const goals: Goal[] = [];
  for (const part of values.only.split(",")) {
    const folder = mkdtempSync(join(tmpdir(), "understudy-size-"));
    try {
      if (part === "history") goals.push(await history(folder, options));
      else goals.push(...(await restart(folder, options)));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return goals;
}
