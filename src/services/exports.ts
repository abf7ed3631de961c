// Artifacts for the edge: a checkpoint as an ONNX graph with its weights quantised, made once by a worker.
import { ApiError } from "../errors.ts";
import type { JobState } from "../pool/api.ts";
import { findExport, listExports } from "../store/exports.ts";
import type { ExportRow } from "../store/exports.ts";
import type { EdgeArtifact, Export, ExportOutput, Precision } from "../wire/exports.ts";
import { getCheckpoint } from "./checkpoints.ts";
import type { Context } from "./context.ts";
import { download } from "./download.ts";
import type { Download } from "./download.ts";
import { digest, resourceId, twinId } from "./identity.ts";
import { envelope } from "./list.ts";
import type { Page } from "./list.ts";
import { checkpointPlace, resolveModel } from "./models.ts";
import { settled } from "./submit.ts";
import { unwrap } from "./wait.ts";

type Stored = Omit<ExportRow, "project">;

function present({ id, checkpoint, precision, model, difference, files, createdAt }: Stored): Export {
  const [run = "", step = ""] = checkpoint.split("@");
  const href = `/v1/runs/${run}/checkpoints/${step}/exports/${precision}/files`;
  return {
    id: twinId("export", id),
    object: "export",
    created_at: new Date(createdAt).toISOString(),
    checkpoint,
    precision,
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    model,
    difference,
    files: files.map(({ name, bytes, sha256 }) => ({ name, bytes, sha256, href: `${href}/${name}` })),
  };
}

/** The answer to the job that made it. */
export function exported(job: JobState, { model, difference, files }: ExportOutput): Export | null {
  const { id, subject: checkpoint } = job;
  if (checkpoint === null) return null;
  const createdAt = Date.parse(job.created_at);
  return present({ id, checkpoint, precision: model.precision, model, difference, files, createdAt });
}

/** The id of the checkpoint that `run@step` stands for. */
const checkpointId = async (ctx: Context, run: string, step: string): Promise<string> =>
  (await getCheckpoint(ctx, run, step)).id;

/** The artifact if it is there; else the job that makes it. */
export async function createExport(
  ctx: Context,
  { run, step, precision }: { run: string; step: string; precision: Precision },
  wait: number,
): Promise<Export | JobState> {
  const { id: checkpoint, ref } = await resolveModel(ctx, `${run}@${step}`, "step");
  const there = await findExport(ctx.db, ctx.project.id, checkpoint, precision);
  if (there !== null) return present(there);
  const place = checkpointPlace(checkpoint);
  const request = { checkpoint, precision };
  const job = await ctx.pool.submitJob({
    id: await resourceId(ctx, "job", `POST /v1/runs/${place?.run ?? run}/checkpoints/exports`),
    project: ctx.project.id,
    digest: await digest(request),
    subject: checkpoint,
    request: JSON.stringify(request),
    payload: { kind: "export", model: ref, precision },
    artifact: null,
    cost: 1,
  });
  return settled(ctx, unwrap(job).resource, wait);
}

export async function exportPage(ctx: Context, run: string, step: string): Promise<Page<Export>> {
  const rows = await listExports(ctx.db, ctx.project.id, await checkpointId(ctx, run, step));
  return envelope(rows.map(present), false, (row) => row.id);
}

async function requireExport(ctx: Context, checkpoint: string, precision: Precision): Promise<ExportRow> {
  const row = await findExport(ctx.db, ctx.project.id, checkpoint, precision);
  if (row !== null) return row;
  const [run = "", step = ""] = checkpoint.split("@");
  const path = `/v1/runs/${run}/checkpoints/${step}/exports`;
  throw new ApiError("not_found", `Checkpoint ${checkpoint} has no ${precision} export; POST ${path} makes one.`);
}

/** What the scorer is given of a checkpoint's export. */
export async function artifactOf(ctx: Context, checkpoint: string, precision: Precision): Promise<EdgeArtifact> {
  const { model, files } = await requireExport(ctx, checkpoint, precision);
  return { model, files };
}

export const getExport = async (ctx: Context, run: string, step: string, precision: Precision): Promise<Export> =>
  present(await requireExport(ctx, await checkpointId(ctx, run, step), precision));

export async function exportFile(
  ctx: Context,
  { run, step, precision, name }: { run: string; step: string; precision: Precision; name: string },
): Promise<Download> {
  const { checkpoint, files } = await requireExport(ctx, await checkpointId(ctx, run, step), precision);
  return download(ctx, files, name, `The ${precision} export of ${checkpoint}`);
}
