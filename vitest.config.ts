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
          testTimeout: 15_000,
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
        test: { name: "pool", include: ["test/pool/**/*.test.ts"], testTimeout: 15_000 },
      },
      {
        test: {
          name: "node",
          include: ["test/**/*.node.test.ts", "scripts/**/*.node.test.ts"],
          testTimeout: 30_000,
          hookTimeout: 120_000,
          // Each end-to-end file runs a stack of its own, and measures nothing useful beside another.
          fileParallelism: false,
        },
      },
    ],
  },
});
