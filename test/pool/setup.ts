// What every test of the pool asserts besides: no turn costs more than it may, and no statement reads a table whole.
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeAll, expect } from "vitest";
import { freshPool } from "./harness.ts";

/** Statements that have been seen, with what is wrong with their plan. */
const plans = new Map<string, string | null>();

/** Of these any few rows are taken. */
const MAY_BE_SCANNED = /^(garbage)$/;

interface Step {
  detail: string;
}

function wrongIn(steps: Step[]): string | null {
  const scan = steps.find(({ detail }) => {
    const table = /^SCAN (\w+)/.exec(detail)?.[1];
    const whole = table !== undefined && !/USING (COVERING )?INDEX/.test(detail);
    return whole && !["json_each", "named", "lines", "CONSTANT"].includes(table) && !MAY_BE_SCANNED.test(table);
  });
  return scan?.detail ?? null;
}

/** Migrations and the tests themselves may read what they like. */
function ofThePool(): boolean {
  const frames = (new Error().stack ?? "").split("\n").slice(2);
  const caller = frames.find((frame) => !frame.includes("pool/tables/") && !frame.includes("pool/setup.ts")) ?? "";
  return frames.some((frame) => frame.includes("tables/table.ts")) && caller.includes("src/pool/");
}

const over: string[] = [];

/** Said by a test whose turns cost more than they may, as is known. */
export function forgiveTurns(): void {
  over.length = 0;
}

const warn = console.warn.bind(console);

beforeAll(async () => {
  console.warn = (...args: unknown[]) => {
    if (String(args[0]).includes("pool_turn_over")) over.push(String(args[0]));
    else warn(...args);
  };
  await runInDurableObject(freshPool(), (_instance, { storage }) => {
    const prototype = Object.getPrototypeOf(storage.sql) as SqlStorage & { watched?: true };
    if (prototype.watched === true) return;
    prototype.watched = true;
    const exec = Reflect.get(prototype, "exec") as (statement: string, ...params: unknown[]) => SqlStorageCursor<never>;
    prototype.exec = function watched(this: SqlStorage, statement: string, ...params: unknown[]) {
      if (!plans.has(statement) && ofThePool() && /^\s*(SELECT|UPDATE|DELETE|WITH|INSERT)/i.test(statement)) {
        plans.set(statement, null);
        const steps = exec.call(this, `EXPLAIN QUERY PLAN ${statement}`, ...params).toArray() as unknown as Step[];
        plans.set(statement, wrongIn(steps));
      }
      return exec.call(this, statement, ...params);
    } as typeof exec;
  });
});

afterEach(() => {
  const wrong = [...plans].flatMap(([statement, scan]) => (scan === null ? [] : [`${scan}: ${statement}`]));
  expect.soft(wrong).toEqual([]);
  expect.soft(over.splice(0)).toEqual([]);
});
