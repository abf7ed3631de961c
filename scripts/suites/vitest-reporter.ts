// vitest's reporter for `npm test`: writes the run's Outcome to $UNDERSTUDY_TEST_REPORT.
import { writeFileSync } from "node:fs";
import type { Reporter, TestCase, TestModule } from "vitest/node";
import { SLOW_S, nothing } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";

function add(outcome: Outcome, test: TestCase): void {
  const name = `${test.module.relativeModuleId} > ${test.fullName}`;
  const result = test.result();
  if (result.state === "passed") outcome.passed += 1;
  else if (result.state === "skipped")
    outcome.skipped.push({ name, reason: result.note ?? test.meta().skipped ?? "no reason given" });
  else outcome.failed += 1;
  const seconds = (test.diagnostic()?.duration ?? 0) / 1000;
  if (seconds > SLOW_S) outcome.slow.push({ name, seconds });
}

export default class OutcomeReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const outcome = nothing();
    for (const module of modules) for (const test of module.children.allTests()) add(outcome, test);
    const path = process.env.UNDERSTUDY_TEST_REPORT;
    if (path === undefined) throw new Error("UNDERSTUDY_TEST_REPORT must name the file to write");
    writeFileSync(path, JSON.stringify(outcome));
  }
}
