// The student's exports as files, each made when it is first asked for, also where the service would refuse it.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { storeFile } from "../../scripts/stack/scorer.ts";
import type { Bucket } from "../../scripts/stack/scorer.ts";
import { EdgeModel } from "../../src/wire/exports.ts";
import type { EdgeArtifact, Precision } from "../../src/wire/exports.ts";
import { call } from "../program.ts";

const Made = z.strictObject({
  model: EdgeModel,
  difference: z.union([z.number(), z.null()]),
  refusal: z.union([z.string(), z.null()]),
});

export interface Exported extends z.infer<typeof Made> {
  folder: string;
}

/** A checkpoint as transformers reads it, and its exports. */
export class Student {
  readonly folder: string;
  readonly work: string;
  readonly #made = new Map<Precision, Promise<Exported>>();

  /** `work` is where what is made of it is written. */
  constructor(folder: string, work: string) {
    this.folder = folder;
    this.work = work;
  }

  exported(precision: Precision): Promise<Exported> {
    const made = this.#made.get(precision) ?? this.#export(precision);
    this.#made.set(precision, made);
    return made;
  }

  /** Folders of the exports by precision. */
  async folders(precisions: readonly Precision[]): Promise<Partial<Record<Precision, string>>> {
    const folders: Partial<Record<Precision, string>> = {};
    for (const precision of precisions) folders[precision] = (await this.exported(precision)).folder;
    return folders;
  }

  async #export(precision: Precision): Promise<Exported> {
    const out = join(this.work, precision);
    const began = performance.now();
    const made = await call({ file: "edge/export.py" }, { folder: this.folder, precision, out }, Made);
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    const said = made.refusal ?? `${(made.difference ?? 0).toPrecision(2)} nats a token from PyTorch on its own texts`;
    console.log(`exported in ${precision} in ${seconds} s: ${said}`);
    return { ...made, folder: out };
  }
}

/** Puts an export's files where a scorer finds them. */
export async function store(bucket: Bucket, { folder, model }: Exported): Promise<EdgeArtifact> {
  const names = readdirSync(folder);
  const files = names.map((name) => storeFile(bucket, name, readFileSync(join(folder, name))));
  return { model, files: await Promise.all(files) };
}
