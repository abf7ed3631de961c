// What `cloudflare:workers` gives to tests: the Worker's own bindings, and the migrations from vitest.config.ts.
import type { D1Migration } from "cloudflare:test";
import type { Env as AppEnv } from "../src/env.ts";

declare global {
  namespace Cloudflare {
    interface Env extends AppEnv {
      MIGRATIONS: D1Migration[];
    }
  }
}
