// The edge on this machine: the two Workers that wrangler bundles, in workerd, with D1, R2 and the Durable Object on disk.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { Log, LogLevel, Miniflare } from "miniflare";
import type { WorkerOptions } from "miniflare";
import { ASSETS, BUNDLE, SCORER } from "../build.ts";
import { inRoot } from "../paths.ts";

export interface EdgeOptions {
  /** State on disk: D1, R2 and the Durable Objects, each in a folder of its own. */
  folder: string;
  /** 0 for any free one. */
  port: number;
  /** Secrets and vars of the Worker. */
  bindings: Record<string, string>;
  log: (line: string) => void;
}

/** What wrangler.toml says of compatibility, which the local runtime is to be given too. */
function compatibility(): { compatibilityDate: string; compatibilityFlags: string[] } {
  const text = readFileSync(inRoot("wrangler.toml"), "utf8");
  const date = /^compatibility_date = "([0-9-]+)"$/m.exec(text)?.[1];
  if (date === undefined) throw new Error("wrangler.toml has no compatibility_date");
  const [, flags = ""] = /^compatibility_flags = \[(.*)\]$/m.exec(text) ?? [];
  return {
    compatibilityDate: date,
    compatibilityFlags: [...flags.matchAll(/"([^"]+)"/g)].map(([, flag = ""]) => flag),
  };
}

export const BUCKETS = { BLOBS: "understudy-blobs" };

function mainWorker(bindings: Record<string, string>): WorkerOptions {
  return {
    name: "understudy",
    modules: true,
    scriptPath: BUNDLE,
    ...compatibility(),
    bindings: { FINGERPRINT_WAIT_MS: "", ...bindings },
    d1Databases: { DB: "understudy" },
    r2Buckets: BUCKETS,
    durableObjects: { POOL: { className: "Pool", useSQLite: true } },
    serviceBindings: { SCORER: { name: "understudy-scorer", entrypoint: "Scorer" } },
    assets: { directory: ASSETS, binding: "ASSETS", routerConfig: { has_user_worker: true } },
  };
}

/** The scorer's bundle as a Worker of its own; it has no setting but its bucket. */
export function scorerWorker(): WorkerOptions {
  const wasm = readdirSync(SCORER).filter((name) => name.endsWith(".wasm"));
  return {
    name: "understudy-scorer",
    modulesRoot: SCORER,
    modules: [
      { type: "ESModule", path: join(SCORER, "index.js") },
      ...wasm.map((name) => ({ type: "CompiledWasm" as const, path: join(SCORER, name) })),
    ],
    ...compatibility(),
    r2Buckets: BUCKETS,
  };
}

function forward(stream: Readable, log: (line: string) => void): void {
  stream.setEncoding("utf8").on("data", (text: string) => {
    for (const line of text.split("\n")) if (line.trim() !== "") log(line);
  });
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** Runs `make`. Where this program handles a signal, the handlers that `make` adds for it are taken away again:
 * miniflare's would end the process before its workers are stopped. */
function keepingSignals<T>(make: () => T): T {
  const own = SIGNALS.map((signal) => process.listeners(signal));
  const made = make();
  SIGNALS.forEach((signal, i) => {
    const before = own[i] ?? [];
    for (const added of process.listeners(signal).filter((listener) => !before.includes(listener))) {
      if (before.length > 0) process.off(signal, added);
    }
  });
  return made;
}

/** Applies to D1 what is new under `migrations/`, once each, with the bookkeeping table that wrangler uses. */
async function migrate(edge: Miniflare): Promise<void> {
  const db = await edge.getD1Database("DB");
  await db.exec(
    "CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
  );
  const { results } = await db.prepare("SELECT name FROM d1_migrations").all<{ name: string }>();
  const applied = new Set(results.map(({ name }) => name));
  const files = readdirSync(inRoot("migrations")).filter((name) => name.endsWith(".sql") && !applied.has(name));
  for (const name of files.sort()) {
    const statements = readFileSync(inRoot("migrations", name), "utf8").split("--> statement-breakpoint");
    const book = db.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name);
    await db.batch([...statements.map((sql) => db.prepare(sql)), book]);
  }
}

/** Starts workerd and resolves once it answers. The caller disposes it. */
export async function startEdge(options: EdgeOptions): Promise<{ edge: Miniflare; url: string }> {
  const make = () =>
    new Miniflare({
      host: "127.0.0.1",
      port: options.port,
      workers: [mainWorker(options.bindings), scorerWorker()],
      d1Persist: join(options.folder, "d1"),
      r2Persist: join(options.folder, "r2"),
      durableObjectsPersist: join(options.folder, "pool"),
      cf: false,
      telemetry: { enabled: false },
      log: new Log(LogLevel.NONE),
      handleRuntimeStdio: (stdout: Readable, stderr: Readable) => {
        forward(stdout, options.log);
        forward(stderr, options.log);
      },
    });
  const edge = keepingSignals(make);
  try {
    const url = await edge.ready;
    await migrate(edge);
    return { edge, url: url.origin };
  } catch (error) {
    await edge.dispose();
    throw error;
  }
}
