// The bindings of `wrangler.toml`, as the code sees them.
import type { PoolApi } from "./pool/api.ts";
import type { ScorerApi } from "./scorer/api.ts";

/** The pool's stub: its methods over RPC, and `fetch` for the workers' sockets. */
export type PoolStub = PoolApi & { fetch(request: Request): Promise<Response> };

/** The namespace of the pools, whose stubs have the pool's methods. */
export interface PoolNamespace {
  idFromName(name: string): DurableObjectId;
  get(id: DurableObjectId): PoolStub & DurableObjectStub;
}

export interface Env {
  DB: D1Database;
  BLOBS: R2Bucket;
  POOL: PoolNamespace;
  /** The second Worker (`src/scorer`), which runs small models' exports: its memory and CPU are not this one's. */
  SCORER: ScorerApi;
  ASSETS: Fetcher;
  /** Creates projects, their first admin key and shared worker keys: `wrangler secret put OPERATOR_SECRET`. */
  OPERATOR_SECRET: string;
  /** Keys of HMACs from which idempotent ids are made: `wrangler secret put ID_SECRET`. */
  ID_SECRET: string;
  /** How long a run waits for its own fingerprint, ms; empty for the default. */
  FINGERPRINT_WAIT_MS: string;
}
