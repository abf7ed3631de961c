// Bundles the page for the Worker's static assets: one script, one style sheet. A process of its own, started by build.ts.
// Their names are fixed, so the Worker needs no list of them. They are served to be asked for anew each time, by ETag: an
// unchanged file costs a 304, and a new deployment is seen at once.
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
