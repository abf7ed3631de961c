// The hourly sweep: what has outlived its project's retention, blobs that nothing names, what the teacher cache kept long
// enough.
import { ORPHAN_BLOB_MS, TEACHER_CACHE_DAYS } from "../config.ts";
import type { Env } from "../env.ts";
import { ApiError } from "../errors.ts";
import { OWN_PROJECT, TEACHER_CACHE, deleteBlobs, emptyTeacherCaches } from "../store/blobs.ts";
import { chunks, database } from "../store/database.ts";
import { expireLogprobs } from "../store/logprobs.ts";
import { existingDatasets, listExpired, poolsOf } from "../store/retention.ts";
import type { Expired } from "../store/retention.ts";
import { ownContext, poolOf } from "./context.ts";
import { deleteDataset } from "./dataset-registry.ts";
import { deleteRun } from "./distill.ts";
import { deleteEvaluation } from "./evaluations.ts";
import { deletePreferenceEvaluation } from "./preference-evaluations.ts";

/** Resources that one sweep deletes: the next one goes on. */
const EXPIRED_AT_ONCE = 100;
/** Pages of R2's listing that one sweep reads; where it stopped is remembered in R2 itself. */
const PAGES = 20;
const CURSOR_KEY = `${OWN_PROJECT}/cursor`;
const DAY_MS = 24 * 60 * 60 * 1000;

interface Place {
  key: string;
  project: string;
  owner: string;
}

export async function sweep(env: Env, now: number): Promise<void> {
  for (const expired of await listExpired(database(env.DB), now, EXPIRED_AT_ONCE)) await remove(env, expired);
  await emptyTeacherCaches(env.BLOBS, PAGES);
  await expireLogprobs(database(env.DB), now - TEACHER_CACHE_DAYS * DAY_MS);
  await sweepBlobs(env, now);
}

const REMOVE = {
  evaluation: deleteEvaluation,
  preference_evaluation: deletePreferenceEvaluation,
  run: deleteRun,
  dataset: deleteDataset,
};

/** What is still going, or in use, is left for the next hour. */
async function remove(env: Env, { resource, id, project }: Expired): Promise<void> {
  try {
    await REMOVE[resource](ownContext(env, project, "sweep"), id);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

async function sweepBlobs(env: Env, now: number): Promise<void> {
  let cursor = (await (await env.BLOBS.get(CURSOR_KEY))?.text()) ?? "";
  for (let pages = 0; pages < PAGES; pages++) {
    const page = await env.BLOBS.list(cursor === "" ? {} : { cursor });
    await deleteBlobs(env.BLOBS, await overdue(env, page.objects, now));
    cursor = page.truncated ? page.cursor : "";
    if (cursor === "") break;
  }
  await env.BLOBS.put(CURSOR_KEY, cursor);
}

/** Keys of the objects that have had their time: what the teacher cache holds needs no name, all else goes without one. */
async function overdue(env: Env, objects: readonly R2Object[], now: number): Promise<string[]> {
  const gone: string[] = [];
  const asked: Place[] = [];
  for (const { key, uploaded } of objects) {
    const [project = "", owner = ""] = key.split("/");
    const age = now - uploaded.getTime();
    if (project === OWN_PROJECT) continue;
    if (owner === TEACHER_CACHE) {
      if (age > TEACHER_CACHE_DAYS * DAY_MS) gone.push(key);
    } else if (age > ORPHAN_BLOB_MS) asked.push({ key, project, owner });
  }
  for (const some of chunks(asked, 1)) gone.push(...(await unnamed(env, some)));
  return gone;
}

/** Those of at most `SQL_PARAMETERS` places that neither a data set nor a project's pool names. */
async function unnamed(env: Env, places: readonly Place[]): Promise<string[]> {
  const db = database(env.DB);
  const datasets = await existingDatasets(db, [...new Set(places.map(({ owner }) => owner))]);
  const pools = await poolsOf(db, [...new Set(places.map(({ project }) => project))]);
  const named = new Set<string>();
  for (const pool of new Set(pools.values())) {
    const asked = places.filter(({ project }) => pools.get(project) === pool).map(({ key }) => key);
    for (const key of await poolOf(env, pool).namedBlobs(asked)) named.add(key);
  }
  return places.filter(({ key, owner }) => !named.has(key) && !datasets.has(owner)).map(({ key }) => key);
}
