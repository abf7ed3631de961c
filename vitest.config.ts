// Two projects: `workers` runs in real workerd with the bindings of wrangler.toml, `node` runs under Node.
import { mkdirSync } from "node:fs";
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

// wrangler.toml names this folder; the build fills it, and workerd refuses to start without it.
mkdirSync("dist/assets", { recursive: true });

export default defineConfig({
  test: {
    projects: [
      {
        plugins: [
          cloudflareTest(async () => ({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: {
              bindings: {
                OPERATOR_SECRET: "operator-secret-of-tests",
                ID_SECRET: "id-secret-of-tests",
                MIGRATIONS: await readD1Migrations("migrations"),
              },
            },
          })),
        ],
        test: {
          name: "workers",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.node.test.ts"],
          setupFiles: ["./test/setup.ts"],
          testTimeout: 15_000,
        },
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
