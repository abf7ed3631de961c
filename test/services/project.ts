// A project of its own for each test file, with models and data sets put straight into the record.
import { env } from "cloudflare:workers";
import type { Context } from "../../src/services/context.ts";
import { newSecret } from "../../src/services/auth.ts";
import { newId, sha256 } from "../../src/services/identity.ts";
import { blobKey, putBlob } from "../../src/store/blobs.ts";
import { database } from "../../src/store/database.ts";
import { datasets, keys, models, projects } from "../../src/store/schema.ts";
import type { DatasetFormat, Row } from "../../src/wire/datasets.ts";
import type { Role } from "../../src/wire/jobs.ts";
import type { ModelFacts } from "../../src/wire/models.ts";
import { hash } from "./hash.ts";

export { hash };

export const facts = (changes: Partial<ModelFacts> = {}): ModelFacts => ({
  architecture: "LlamaForCausalLM",
  layers: 30,
  parameters: 134_515_008,
  vocab_size: 49_152,
  context_length: 2048,
  layer_indices: null,
  weights_digest: hash("weights"),
  tokenizer_digest: hash("tokenizer"),
  template_digest: hash("template"),
  ...changes,
});

export class TestProject {
  readonly id = newId("proj");
  readonly db = database(env.DB);
  #secret = "";

  static async create(): Promise<TestProject> {
    const project = new TestProject();
    const { id } = project;
    await project.db
      .insert(projects)
      .values({ id, name: id.slice(-20), pool: id, requestDigest: "", createdAt: Date.now() });
    project.#secret = await project.key("write");
    return project;
  }

  async key(role: Role): Promise<string> {
    const id = newId("key");
    const secret = newSecret(id);
    const row = { id, project: this.id, name: role, role, requestDigest: "", createdAt: Date.now() };
    await this.db.insert(keys).values({ ...row, secretSha256: await sha256(secret) });
    return secret;
  }

  get secret(): string {
    return this.#secret;
  }

  get pool() {
    return env.POOL.get(env.POOL.idFromName(this.id));
  }

  context(idempotencyKey: string | null = null): Context {
    return {
      env,
      db: this.db,
      pool: this.pool,
      project: { id: this.id, name: "test", pool: this.id, retentionDays: null },
      key: { id: "key_test", role: "write" },
      requestId: "test",
      idempotencyKey,
    };
  }

  /** A model that a worker has prepared. */
  async model(name: string, changes: Partial<ModelFacts> = {}): Promise<string> {
    const id = newId("model");
    const found = facts(changes);
    await this.db.insert(models).values({
      id,
      project: this.id,
      name,
      source: { type: "local", name: "tiny" },
      ref: {
        model: id,
        base: { type: "local", name: "tiny" },
        layer_indices: null,
        weights_digest: found.weights_digest,
      },
      status: "ready",
      facts: found,
      requestDigest: "",
      createdAt: Date.now(),
    });
    return id;
  }

  async dataset(name: string, rows: readonly Row[], format: DatasetFormat = "prompt_completion"): Promise<string> {
    const id = newId("ds");
    const names = [...new Set(rows.map((row) => row.split))];
    const splits = await Promise.all(names.map((split) => this.#split(id, split, rows)));
    const counts = Object.fromEntries(splits.map(({ split, rows: n }) => [split, n]));
    const body = {
      id,
      object: "dataset" as const,
      created_at: new Date().toISOString(),
      name,
      rows: rows.length,
      format,
      sha256: hash(name),
      splits: counts,
      skipped: [],
      ignored_fields: [],
    };
    await this.db
      .insert(datasets)
      .values({ id, project: this.id, name, body, splits, bytes: 1, requestDigest: "", createdAt: Date.now() });
    return id;
  }

  async #split(dataset: string, split: string, rows: readonly Row[]) {
    const mine = rows.filter((row) => row.split === split);
    const text = mine.map((row) => JSON.stringify(row)).join("\n");
    const bytes = new TextEncoder().encode(text);
    const digest = await sha256(text);
    const key = blobKey({ project: this.id, owner: dataset, fence: 0, sha256: digest });
    await putBlob(env.BLOBS, key, bytes, digest);
    return { dataset, split, rows: mine.length, blob: { key, bytes: bytes.length, sha256: digest }, marks: [] };
  }
}

/** Rows `test-0`, `test-1`, ... whose answer is `answer 0`, `answer 1`, ... */
export const rows = (n: number, split = "test"): Row[] =>
  Array.from({ length: n }, (_, i) => ({
    id: `${split}-${i}`,
    split,
    prompt: `Question ${i}${"?".repeat(i % 7)}`,
    response: `answer ${i}`,
    rejected: null,
    references: [`answer ${i}`, `the answer is ${i}`],
  }));
