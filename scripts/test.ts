// npm test: static checks, then every test. The last line counts them all.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "./build.ts";
import { check } from "./check.ts";
import { skips, slowest, sum } from "./suites/outcome.ts";
import type { Outcome } from "./suites/outcome.ts";
import { pytest } from "./suites/pytest.ts";
import { Screen } from "./suites/screen.ts";
import { vitest } from "./suites/vitest.ts";

const folder = mkdtempSync(join(tmpdir(), "understudy-test-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

interface Suite {
  name: string;
  run: (screen: Screen) => Promise<Outcome>;
}

/** Suites that run one after the other; the lanes run side by side, each about as long as a core is busy with it. */
const LANES: Suite[][] = [
  [
    { name: "static checks", run: check },
    { name: "edge, in workerd", run: (screen) => vitest(screen, folder, "workers") },
    { name: "pool, in workerd", run: (screen) => vitest(screen, folder, "pool") },
  ],
  [{ name: "set-up and end to end", run: (screen) => vitest(screen, folder, "node") }],
  [{ name: "worker", run: (screen) => pytest(screen, folder) }],
];

interface Ended extends Outcome {
  seconds: number;
}

interface Running {
  name: string;
  screen: Screen;
  ended: Promise<Ended>;
}

async function timed(suite: Suite, screen: Screen): Promise<Ended> {
  const began = Date.now();
  const outcome = await suite.run(screen);
  return { ...outcome, seconds: Math.round((Date.now() - began) / 1000) };
}

function begin(lane: Suite[]): Running[] {
  let before: Promise<unknown> = Promise.resolve();
  return lane.map((suite) => {
    const screen = new Screen();
    const ended = before.then(() => timed(suite, screen));
    before = ended;
    return { name: suite.name, screen, ended };
  });
}

function title(text: string): void {
  console.log(`\n== ${text}`);
}

const began = Date.now();
build();
const results: string[] = [];
const outcomes: Ended[] = [];
for (const { name, screen, ended } of LANES.flatMap(begin)) {
  title(name);
  screen.show();
  const outcome = await ended;
  outcomes.push(outcome);
  results.push(`${name}: ${outcome.passed} passed, ${outcome.failed} failed (${outcome.seconds} s)`);
}
const total = sum(outcomes);
title("tests of over 5 s");
for (const line of slowest(total)) console.log(line);
title("results");
for (const line of results) console.log(line);
console.log(`all of it: ${Math.round((Date.now() - began) / 1000)} s after the installs`);
console.log(skips(total));
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
