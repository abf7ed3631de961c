// The hourly sweep: what has outlived its project's retention, and blobs that nothing names.
import { ORPHAN_BLOB_MS, SQL_PARAMETERS } from "../config.ts";
import type { Env } from "../env.ts";
import { ApiError } from "../errors.ts";
import { deleteBlobs } from "../store/blobs.ts";
import { database } from "../store/database.ts";
import { existingDatasets, listExpired, poolsOf } from "../store/retention.ts";
import type { Expired } from "../store/retention.ts";
import { poolOf } from "./context.ts";
import type { Context } from "./context.ts";
import { deleteDataset } from "./dataset-registry.ts";
import { deleteRun } from "./distill.ts";
import { deleteEvaluation } from "./evaluations.ts";
import { newId } from "./identity.ts";

/** Resources that one sweep deletes: the next one goes on. */
const EXPIRED_AT_ONCE = 100;
/** Pages of R2's listing that one sweep reads; where it stopped is remembered in R2 itself. */
const PAGES = 20;
const CURSOR_KEY = "sweep/cursor";

export async function sweep(env: Env, now: number): Promise<void> {
  for (const expired of await listExpired(database(env.DB), now, EXPIRED_AT_ONCE)) await remove(env, expired);
  await sweepBlobs(env, now);
}

const REMOVE = { evaluation: deleteEvaluation, run: deleteRun, dataset: deleteDataset };

/** What is still going, or in use, is left for the next hour. */
async function remove(env: Env, { resource, id, project }: Expired): Promise<void> {
  const ctx: Context = {
    env,
    db: database(env.DB),
    pool: poolOf(env, project.pool),
    project,
    key: { id: "sweep", role: "admin" },
    requestId: newId("req"),
    idempotencyKey: null,
  };
  try {
    await REMOVE[resource](ctx, id);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

async function sweepBlobs(env: Env, now: number): Promise<void> {
  const before = now - ORPHAN_BLOB_MS;
  let cursor = (await (await env.BLOBS.get(CURSOR_KEY))?.text()) ?? "";
  for (let pages = 0; pages < PAGES; pages++) {
    const page = await env.BLOBS.list({ limit: SQL_PARAMETERS, ...(cursor === "" ? {} : { cursor }) });
    const old = page.objects.filter(({ key, uploaded }) => key !== CURSOR_KEY && uploaded.getTime() < before);
    const orphans = await unnamed(
      env,
      old.map(({ key }) => key),
    );
    await deleteBlobs(env.BLOBS, orphans);
    cursor = page.truncated ? page.cursor : "";
    if (cursor === "") break;
  }
  await env.BLOBS.put(CURSOR_KEY, cursor);
}

/** Those of at most `SQL_PARAMETERS` keys that neither a data set nor a project's pool names. */
async function unnamed(env: Env, keys: readonly string[]): Promise<string[]> {
  if (keys.length === 0) return [];
  const db = database(env.DB);
  const places = keys.map((key) => {
    const [project = "", owner = ""] = key.split("/");
    return { key, project, owner };
  });
  const datasets = await existingDatasets(db, [...new Set(places.map(({ owner }) => owner))]);
  const pools = await poolsOf(db, [...new Set(places.map(({ project }) => project))]);
  const named = new Set<string>();
  for (const pool of new Set(pools.values())) {
    const asked = places.filter(({ project }) => pools.get(project) === pool).map(({ key }) => key);
    for (const key of await poolOf(env, pool).namedBlobs(asked)) named.add(key);
  }
  return places.filter(({ key, owner }) => !named.has(key) && !datasets.has(owner)).map(({ key }) => key);
}
