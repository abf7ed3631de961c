// Three projects: `workers` and `pool` run in real workerd with the bindings of wrangler.toml, `node` runs under Node.
// `pool` has a Worker of its own, whose Durable Object tells its changes to the test instead of D1.
import { mkdirSync } from "node:fs";
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

// wrangler.toml names this folder; the build fills it, and workerd refuses to start without it.
mkdirSync("dist/assets", { recursive: true });

const secrets = { OPERATOR_SECRET: "operator-secret-of-tests", ID_SECRET: "id-secret-of-tests" };
const wrangler = { configPath: "./wrangler.toml" };

/** Stands behind the binding SCORER: the real one has a bundle of its own, and test/scorer runs that. */
const scorer = {
  name: "understudy-scorer",
  modules: true,
  compatibilityDate: "2026-07-30",
  script: `
    import { WorkerEntrypoint } from "cloudflare:workers";
    const refused = { ok: false, code: "internal", message: "no scorer runs here" };
    export class Scorer extends WorkerEntrypoint {
      score() { return refused; }
      generate() { return refused; }
    }
    export default Scorer;`,
};

/** Files share an isolate, its modules loaded once, and the bindings: each makes projects of its own. */
const shared = { isolate: false };
/** Bounds that only a hang reaches, also where other programs keep every core busy, ms. */
const patience = { testTimeout: 60_000, hookTimeout: 60_000, expect: { poll: { timeout: 30_000 } } };
/** The same where real processes load models, train and are killed, ms. */
const longPatience = { testTimeout: 300_000, hookTimeout: 300_000, expect: { poll: { timeout: 120_000 } } };

export default defineConfig({
  test: {
    projects: [
      {
        plugins: [
          cloudflareTest(async () => ({
            wrangler,
            miniflare: {
              bindings: { ...secrets, MIGRATIONS: await readD1Migrations("migrations") },
              workers: [scorer],
            },
          })),
        ],
        test: {
          name: "workers",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.node.test.ts", "test/pool/**"],
          setupFiles: ["./test/setup.ts"],
          ...shared,
          ...patience,
        },
      },
      {
        plugins: [
          cloudflareTest({
            main: "./test/pool/worker.ts",
            wrangler,
            miniflare: { bindings: secrets, workers: [scorer] },
          }),
        ],
        test: {
          name: "pool",
          include: ["test/pool/**/*.test.ts"],
          setupFiles: ["./test/pool/setup.ts"],
          ...shared,
          ...patience,
        },
      },
      {
        test: {
          name: "node",
          include: ["test/**/*.node.test.ts", "scripts/**/*.node.test.ts"],
          ...longPatience,
          // Each end-to-end file runs a stack of its own, and measures nothing useful beside another.
          fileParallelism: false,
        },
      },
    ],
  },
});
