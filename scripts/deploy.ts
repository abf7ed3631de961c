// npm run deploy: bundle, migrate the remote D1, deploy both Workers. Needs `wrangler login` and the two secrets (see README).
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { SCORER_CONFIG, build } from "./build.ts";
import { ROOT, command, inRoot } from "./paths.ts";
import { UserError } from "./stack/hold.ts";
import { fail } from "./stack/lifetime.ts";

const PLACEHOLDER = "00000000-0000-0000-0000-000000000000";

function wrangler(...args: string[]): void {
  const run = spawnSync(command("wrangler"), args, { cwd: ROOT, stdio: "inherit" });
  if (run.status !== 0) throw new UserError(`wrangler ${args.join(" ")} failed; see above`);
}

try {
  if (readFileSync(inRoot("wrangler.toml"), "utf8").includes(PLACEHOLDER)) {
    throw new UserError("wrangler.toml: put the database_id that `npx wrangler d1 create understudy` prints");
  }
  build();
  wrangler("d1", "migrations", "apply", "DB", "--remote");
  // The main Worker is bound to the scorer, which must be there first.
  wrangler("deploy", "--config", SCORER_CONFIG);
  wrangler("deploy");
} catch (error) {
  fail(error);
}
