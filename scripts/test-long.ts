// npm run test:long [-- NAME ...]: proofs that take too long for every change. The last line counts all their tests.
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "./build.ts";
import { start } from "./suites/child.ts";
import { mechanisms } from "./suites/mechanisms.ts";
import { skips, sum } from "./suites/outcome.ts";
import type { Outcome } from "./suites/outcome.ts";
import { pytest } from "./suites/pytest.ts";
import { Screen } from "./suites/screen.ts";
import { vitest } from "./suites/vitest.ts";

const folder = mkdtempSync(join(tmpdir(), "understudy-test-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const screen = new Screen().show();

interface Part {
  name: string;
  run: () => Promise<Outcome>;
}

/** Instruction sets that torch, oneDNN and MKL may be held to, from the oldest processor to the newest. */
const INSTRUCTIONS = [
  { ATEN_CPU_CAPABILITY: "default", ONEDNN_MAX_CPU_ISA: "SSE41", MKL_ENABLE_INSTRUCTIONS: "SSE4_2" },
  { ATEN_CPU_CAPABILITY: "avx2", ONEDNN_MAX_CPU_ISA: "AVX2", MKL_ENABLE_INSTRUCTIONS: "AVX2" },
  { ATEN_CPU_CAPABILITY: "avx512", ONEDNN_MAX_CPU_ISA: "AVX512_CORE", MKL_ENABLE_INSTRUCTIONS: "AVX512" },
];

/** The worker's tests as older processors compute, and with one and two threads. */
const processors: Part[] = INSTRUCTIONS.flatMap((env) =>
  ["1", "2"].map((threads) => ({
    name: `worker, ${env.ATEN_CPU_CAPABILITY}, threads: ${threads}`,
    run: () => pytest(screen, folder, { ...env, UNDERSTUDY_TEST_THREADS: threads }),
  })),
);

/** Times that a suite of real processes or browsers is repeated. */
const REPEATS = 5;

/** Runs `work` while another program keeps every core busy. */
async function whileBusy<T>(work: () => Promise<T>): Promise<T> {
  const others = Array.from({ length: availableParallelism() }, () =>
    start(screen, process.execPath, ["-e", "for (;;);"]),
  );
  try {
    return await work();
  } finally {
    for (const other of others) other.stop();
  }
}

/** Real processes and browsers, beside a program that keeps every core busy. */
const busy: Part[] = Array.from({ length: REPEATS }, (_, i) => ({
  name: `set-up and end to end, all cores busy, ${i + 1} of ${REPEATS}`,
  run: () => whileBusy(() => vitest(screen, folder, "node")),
}));

const removed: Part = { name: "each mechanism removed", run: () => mechanisms(screen, folder) };

const PROOFS: Record<string, Part[]> = { processors, busy, mechanisms: [removed] };

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in PROOFS));
if (unknown.length > 0) {
  console.error(`no such proof: ${unknown.join(", ")}; there are ${Object.keys(PROOFS).join(", ")}`);
  process.exit(2);
}
build();
const outcomes: Outcome[] = [];
const results: string[] = [];
for (const [name, parts] of Object.entries(PROOFS)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  for (const part of parts) {
    console.log(`\n== ${part.name}`);
    const started = Date.now();
    const outcome = await part.run();
    outcomes.push(outcome);
    const seconds = Math.round((Date.now() - started) / 1000);
    results.push(`${part.name}: ${outcome.passed} passed, ${outcome.failed} failed (${seconds} s)`);
  }
}
const total = sum(outcomes);
console.log("\n== results");
for (const line of results) console.log(line);
console.log(skips(total));
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
