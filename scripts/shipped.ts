// node scripts/shipped.ts [--ship]: a migration that a release has shipped never changes. --ship adds those that are there, at a
// release.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { inRoot } from "./paths.ts";

/** SHA-256 of each shipped migration, by file name, in the order in which they are applied. */
const Shipped = z.record(z.string(), z.string());
const Journal = z.object({ entries: z.array(z.object({ idx: z.int(), tag: z.string() })) });

const read = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));

function digests(folder: string): Record<string, string> {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(".sql"))
    .sort();
  const digest = (name: string): string =>
    createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex");
  return Object.fromEntries(names.map((name) => [name, digest(name)]));
}

/** What is wrong with a folder of migrations: a shipped one that is gone or changed, or one that comes before it. */
export function faults(folder: string): string[] {
  const shipped = Object.entries(Shipped.parse(read(join(folder, "shipped.json"))));
  const present = digests(folder);
  const order = Journal.parse(read(join(folder, "meta", "_journal.json"))).entries.map(({ tag }) => `${tag}.sql`);
  return shipped.flatMap(([name, digest], place) => {
    if (present[name] === undefined) return [`${name} was shipped and is gone`];
    if (present[name] !== digest) return [`${name} was shipped and has changed: add a migration instead`];
    return order[place] === name ? [] : [`${name} was shipped as number ${place} and is not applied as that`];
  });
}

if (import.meta.main) {
  const folder = inRoot("migrations");
  const found = faults(folder);
  for (const fault of found) console.error(fault);
  if (found.length > 0) process.exitCode = 1;
  else if (process.argv.includes("--ship")) {
    writeFileSync(join(folder, "shipped.json"), `${JSON.stringify(digests(folder), null, 2)}\n`);
  }
}
