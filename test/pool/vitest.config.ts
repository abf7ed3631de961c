import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
export default defineConfig({
  root: new URL("../..", import.meta.url).pathname,
  plugins: [
    cloudflareTest({
      main: "./test/pool/worker.ts",
      wrangler: { configPath: "./wrangler.toml" },
      miniflare: { bindings: { OPERATOR_SECRET: "x", ID_SECRET: "y" } },
    }),
  ],
  test: { name: "pool", include: ["test/pool/**/*.test.ts"], testTimeout: 15_000 },
});
