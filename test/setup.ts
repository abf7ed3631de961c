// The D1 that all test files in workerd share is migrated: each file makes projects of its own in it.
import { applyD1Migrations } from "cloudflare:test";
import { env } from "cloudflare:workers";

await applyD1Migrations(env.DB, env.MIGRATIONS);
