// The check that fails when a shipped migration changes.
import { appendFileSync, cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inRoot } from "../../scripts/paths.ts";
import { faults } from "../../scripts/shipped.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "understudy-shipped-"));
  cpSync(inRoot("migrations"), folder, { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const FIRST = "0000_first.sql";

test("what is shipped is as it was", () => {
  expect(faults(folder)).toEqual([]);
});

test("a migration that is added after it is none of its business", () => {
  writeFileSync(join(folder, "9999_later.sql"), "SELECT 1;");
  expect(faults(folder)).toEqual([]);
});

test("one byte more, another name, another place", () => {
  appendFileSync(join(folder, FIRST), "\n");
  expect(faults(folder)).toEqual([`${FIRST} was shipped and has changed: add a migration instead`]);
  renameSync(join(folder, FIRST), join(folder, "0001_first.sql"));
  expect(faults(folder)).toEqual([`${FIRST} was shipped and is gone`]);
  cpSync(inRoot("migrations", FIRST), join(folder, FIRST));
  const journal = join(folder, "meta", "_journal.json");
  writeFileSync(journal, readFileSync(journal, "utf8").replace("0000_first", "0000_before"));
  expect(faults(folder)).toEqual([`${FIRST} was shipped as number 0 and is not applied as that`]);
});
