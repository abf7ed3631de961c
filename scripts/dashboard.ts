// Bundles the page for the Worker's static assets: one script, one style sheet. A process of its own, started by build.ts.
// The names are fixed, so the Worker needs no list of them; the browser asks for each again by its ETag, and a page never
// mixes the files of two deployments for longer than that.
import { join } from "node:path";
import { build } from "vite";
import { ASSETS } from "./build.ts";
import { inRoot } from "./paths.ts";

await build({
  configFile: false,
  root: inRoot("src", "dashboard"),
  publicDir: false,
  logLevel: "warn",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: join(ASSETS, "assets"),
    emptyOutDir: false,
    cssCodeSplit: false,
    modulePreload: false,
    rolldownOptions: {
      input: inRoot("src", "dashboard", "main.tsx"),
      output: { entryFileNames: "dashboard.js", assetFileNames: "dashboard[extname]" },
    },
  },
});
