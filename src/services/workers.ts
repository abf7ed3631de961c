// Workers: who is connected, draining one, and the door through which they dial in.
import type { Env } from "../env.ts";
import { ApiError } from "../errors.ts";
import { comesWhenWanted } from "../pool/api.ts";
import { unknownCursor } from "../store/page.ts";
import type { WorkerInfo } from "../wire/jobs.ts";
import type { JobKind } from "../wire/payloads.ts";
import { DEFAULT_POOL, poolOf } from "./context.ts";
import type { Context, Project } from "./context.ts";
import { page } from "./list.ts";
import { unwrap } from "./wait.ts";

/** Connected workers that may serve the project, by id. */
export async function listWorkers(ctx: Context, query: { after?: string | undefined; limit: number }) {
  const all = (await ctx.pool.workers(ctx.project.id)).sort((a, b) => (a.id < b.id ? -1 : 1));
  const { after } = query;
  const rest = after === undefined ? all : all.filter(({ id }) => id > after);
  if (after !== undefined && rest.length === all.length && all.length > 0) throw unknownCursor(after);
  return page(rest.slice(0, query.limit + 1), query.limit);
}

/** How many of them take jobs of a kind. */
export const takers = (workers: readonly WorkerInfo[], kind: JobKind): number =>
  comesWhenWanted(kind)
    ? 1
    : workers.filter((worker) => worker.status === "connected" && worker.kinds.includes(kind)).length;

export const drainWorker = async (ctx: Context, id: string): Promise<WorkerInfo> =>
  unwrap(await ctx.pool.drainWorker(ctx.project.id, id));

/** Hands a worker's WebSocket to its pool, which is told whose key opened it and nothing that the worker claims. */
export async function connectWorker(
  env: Env,
  request: Request,
  keyId: string,
  project: Project | null,
): Promise<Response> {
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    throw new ApiError("invalid_request", "Open this address as a WebSocket (Upgrade: websocket).", {
      param: "Upgrade",
    });
  }
  const headers = new Headers(request.headers);
  headers.delete("authorization");
  headers.set("x-understudy-key", keyId);
  headers.set("x-understudy-project", project?.id ?? "");
  const answer = await poolOf(env, project?.pool ?? DEFAULT_POOL).fetch(new Request(request, { headers }));
  // A copy, whose headers may be added to.
  return new Response(answer.body, answer);
}
