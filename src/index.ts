// The Worker's entry: the app, the pool's class, the scheduled sweep.
import { app } from "./app.ts";
import type { Env } from "./env.ts";
import { definePool } from "./pool/index.ts";
import { settle } from "./services/settle.ts";
import { sweep } from "./services/sweep.ts";

export const Pool = definePool(settle);

export default {
  fetch: app.fetch,
  scheduled: (_event, env, ctx) => {
    ctx.waitUntil(sweep(env, Date.now()));
  },
} satisfies ExportedHandler<Env>;
