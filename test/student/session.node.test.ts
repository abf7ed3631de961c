// A session on onnxruntime-web under Node: cut into pieces or not, unpacked beforehand, on what computes wrongly.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import * as ort from "onnxruntime-web/wasm";
import { afterAll, describe, expect, test } from "vitest";
import { onWasm, onWebGpu } from "../../src/student/runtime.ts";
import type { Runtime } from "../../src/student/runtime.ts";
import { Session } from "../../src/student/session.ts";
import { EdgeModel } from "../../src/wire/exports.ts";
import { exportTiny, temporary } from "../scorer/scorer.ts";

const { folder, remove } = temporary();
const { artifact } = exportTiny(folder);
const { artifact: rounded } = exportTiny(join(folder, "rounded"), "int8");
afterAll(remove);

function sessionOn(runtime: Runtime, artifact: string): Promise<Session> {
  const read = (name: string) => new Uint8Array(readFileSync(join(artifact, name)));
  const { model } = JSON.parse(readFileSync(join(artifact, "export.json"), "utf8")) as { model: unknown };
  const weights = readdirSync(artifact).filter((name) => name.startsWith("weights-"));
  const files = weights.map((name) => ({ name, pieces: [read(name)] }));
  return Session.of(runtime, EdgeModel.parse(model), read("student.onnx"), files);
}

/** As a GPU may be: what is not read alone comes out wrong. */
const wrong = {
  ...ort,
  InferenceSession: {
    async create(graph: Uint8Array, options: ort.InferenceSession.SessionOptions) {
      const session = await ort.InferenceSession.create(graph, options);
      return {
        async run(feeds: Record<string, ort.Tensor>) {
          const found = await session.run(feeds);
          const { data } = found.logprobs!;
          if (feeds.input_ids!.dims[1]! > 1) (data as Float32Array).forEach((one, i, all) => (all[i] = one - 0.1));
          return found;
        },
      };
    },
  },
} as unknown as typeof ort;

const ids = Array.from({ length: 50 }, (_, i) => (i * 31) % 200);
const asked = ids.slice(1).map((target, row) => ({ row, target }));

async function same(one: Session, other: Session): Promise<void> {
  const [theirs, ours] = [await one.read(ids, null, asked), await other.read(ids, null, asked)];
  expect(ours.logprobs).toHaveLength(asked.length);
  for (const [i, logprob] of ours.logprobs.entries()) expect(logprob).toBeCloseTo(theirs.logprobs[i]!, 4);
  expect(ours.likeliest.map(({ id }) => id)).toEqual(theirs.likeliest.map(({ id }) => id));
}

describe("a session", () => {
  test("says the same whatever the pieces are that it reads", async () => {
    await same(await sessionOn(onWasm(ort), artifact), await sessionOn({ ...onWasm(ort), pieceTokens: 7 }, artifact));
  });

  test("says the same where weights are unpacked beforehand, as on WebGPU", async () => {
    const { options, ...unpacking } = onWebGpu(ort);
    const beforehand = { ...unpacking, options: { ...options, executionProviders: ["wasm"] } };
    await same(await sessionOn(onWasm(ort), rounded), await sessionOn(beforehand, rounded));
  });

  test("agrees with itself, unless what it runs on computes wrongly", async () => {
    expect(await (await sessionOn(onWasm(ort), artifact)).disagreement()).toBeLessThan(1e-4);
    expect(await (await sessionOn(onWasm(wrong), artifact)).disagreement()).toBeCloseTo(0.1, 3);
  });
});
