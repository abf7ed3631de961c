// Every resource on one router: what the app serves, and what the OpenAPI document is made from.
import { blobs } from "./blobs.ts";
import { checkpoints } from "./checkpoints.ts";
import { completions } from "./completions.ts";
import { datasets } from "./datasets.ts";
import { evaluations } from "./evaluations.ts";
import { exports } from "./exports.ts";
import { health } from "./health.ts";
import { jobs } from "./jobs.ts";
import { keys } from "./keys.ts";
import { leaderboard } from "./leaderboard.ts";
import { models } from "./models.ts";
import { preferenceEvaluations } from "./preference-evaluations.ts";
import { preferences } from "./preferences.ts";
import { projects } from "./projects.ts";
import { newRouter } from "./router.ts";
import type { Router } from "./router.ts";
import { runs } from "./runs.ts";
import { scores } from "./scores.ts";
import { teacherCache } from "./teacher-cache.ts";
import { teacherScores } from "./teacher-scores.ts";
import { usage } from "./usage.ts";
import { workers } from "./workers.ts";

const RESOURCES: readonly Router[] = [
  scores, teacherScores, preferences, completions, models, datasets, runs, checkpoints, exports, evaluations, leaderboard, preferenceEvaluations, jobs, workers, blobs,
  teacherCache, keys, usage, projects, health,
]; // prettier-ignore

export function api(): Router {
  const router = newRouter();
  for (const resource of RESOURCES) router.route("/", resource);
  return router;
}
