// A student out of R2, in the runtime of a Worker.
import { EDGE_PIECE_TOKENS } from "../config.ts";
import { onWasm } from "../student/runtime.ts";
import { Student } from "../student/student.ts";
import type { EdgeArtifact } from "../wire/exports.ts";
import { checkMemory, memoryOf } from "./budget.ts";
import { readFile } from "./files.ts";
import { reserve, runtime } from "./runtime.ts";

/** Refuses a model that would not fit, before anything of it is read. */
export async function loadStudent(bucket: R2Bucket, artifact: EdgeArtifact): Promise<Student> {
  checkMemory(artifact, EDGE_PIECE_TOKENS);
  const { model, files } = artifact;
  const read = (name: string) => {
    const file = files.find((one) => one.name === name);
    if (file === undefined) throw new Error(`the artifact has no ${name}`);
    return readFile(bucket, file);
  };
  return Student.load(model, { names: files.map(({ name }) => name), read }, async () => {
    const ort = await runtime();
    reserve(memoryOf(artifact, EDGE_PIECE_TOKENS).heap);
    return onWasm(ort);
  });
}
