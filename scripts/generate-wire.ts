// Makes gpu-worker/understudy_worker/wire.py from src/wire. `--check` fails, with the difference, when it is out of step.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { toJsonSchema } from "../src/wire/schema.ts";
import { Row } from "../src/wire/datasets.ts";
import { FromWorker, ToWorker } from "../src/wire/pool.ts";
import { BlobStored } from "../src/wire/blobs.ts";
import { SampledRows } from "../src/wire/samples.ts";

const root = resolve(import.meta.dirname, "..");
const Wire = z
  .strictObject({
    from_worker: FromWorker,
    to_worker: ToWorker,
    row: Row,
    blob_stored: BlobStored,
    sampled_rows: SampledRows,
  })
  .meta({ id: "Wire" });

const folder = mkdtempSync(join(tmpdir(), "understudy-wire-"));
try {
  const input = join(folder, "wire.json");
  // Python reads what it does not know of a later version, and leaves it.
  const open = (key: string, value: unknown): unknown =>
    key === "additionalProperties" && value === false ? undefined : value;
  writeFileSync(input, JSON.stringify(toJsonSchema(Wire), open, 2));
  const check = process.argv.includes("--check") ? ["--check"] : [];
  const run = spawnSync(
    join(root, ".venv/bin/datamodel-codegen"),
    [
      "--input",
      input,
      "--input-file-type",
      "jsonschema",
      "--schema-version",
      "2020-12",
      "--output",
      join(root, "gpu-worker/understudy_worker/wire.py"),
      "--output-model-type",
      "pydantic_v2.BaseModel",
      "--target-python-version",
      "3.11",
      "--use-annotated",
      "--use-union-operator",
      "--use-standard-collections",
      "--enum-field-as-literal",
      "all",
      "--strict-nullable",
      "--use-type-alias",
      "--base-class",
      "understudy_worker.wire_base.WireModel",
      "--skip-root-model",
      "--disable-timestamp",
      "--formatters",
      "builtin",
      "--keep-model-order",
      "--no-allow-remote-refs",
      "--custom-file-header",
      "# Generated from src/wire by `npm run generate`; never edited by hand.",
      ...check,
    ],
    { stdio: "inherit" },
  );
  if (run.error) throw run.error;
  process.exitCode = run.status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
