// Bundles the pages for the Worker's static assets: of each one script and one style sheet. A process of its own, started by build.ts.
// Their names are fixed, so the Worker needs no list of them. They are served to be asked for anew each time, by ETag: an
// unchanged file costs a 304, and a new deployment is seen at once.
import { copyFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { build } from "vite";
import { ASSETS } from "./build.ts";
import { inRoot } from "./paths.ts";

/** What an asset may have, bytes: the platform takes no larger one. */
const MOST_BYTES = 25 * 1024 * 1024;

/** `name`: where it lies among the assets; parts that are loaded on demand lie beside it. */
async function bundle(name: string, ...source: string[]): Promise<void> {
  const folder = name.slice(0, name.lastIndexOf("/") + 1);
  await build({
    configFile: false,
    root: inRoot("src"),
    publicDir: false,
    logLevel: "warn",
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    // The runtime's own files are copied below.
    resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser"] },
    build: {
      outDir: join(ASSETS, "assets"),
      emptyOutDir: false,
      cssCodeSplit: false,
      modulePreload: false,
      rolldownOptions: {
        input: inRoot("src", ...source),
        output: {
          entryFileNames: `${name}.js`,
          chunkFileNames: `${folder}[name].js`,
          assetFileNames: `${name}[extname]`,
        },
      },
    },
  });
}

/** onnxruntime-web's code and its wasm, as its workers load them by themselves. */
function copyRuntime(variant: string): void {
  for (const kind of ["mjs", "wasm"]) {
    const from = inRoot("node_modules", "onnxruntime-web", "dist", `${variant}.${kind}`);
    if (statSync(from).size > MOST_BYTES) throw new Error(`${from} is too large for an asset`);
    copyFileSync(from, join(ASSETS, "assets", "playground", `${variant}.${kind}`));
  }
}

await bundle("dashboard", "dashboard", "main.tsx");
await bundle("playground/page", "playground", "main.tsx");
await bundle("playground/worker", "playground", "runner", "worker.ts");
copyRuntime("ort-wasm-simd-threaded");
copyRuntime("ort-wasm-simd-threaded.jspi");
