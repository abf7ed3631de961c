// The golden frames that gpu-worker's tests read too: what one side accepts or refuses, the other does.
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { BlobStored } from "../../src/wire/blobs.ts";
import { Row } from "../../src/wire/datasets.ts";
import { FromWorker, ToWorker } from "../../src/wire/pool.ts";
import { known } from "../../src/wire/tolerant.ts";
import firstFromWorker from "./fixtures/0.1.0/from_worker.json" with { type: "json" };
import firstToWorker from "./fixtures/0.1.0/to_worker.json" with { type: "json" };
import blobStored from "./fixtures/blob_stored.json" with { type: "json" };
import fromWorker from "./fixtures/from_worker.json" with { type: "json" };
import row from "./fixtures/row.json" with { type: "json" };
import toWorker from "./fixtures/to_worker.json" with { type: "json" };

const families = [
  { name: "from_worker", schema: FromWorker, ...fromWorker },
  { name: "to_worker", schema: ToWorker, ...toWorker },
  { name: "row", schema: Row, ...row },
  { name: "blob_stored", schema: BlobStored, ...blobStored },
];

const refuses = (parse: () => unknown) => {
  expect(parse).toThrow();
};

describe.each(families)("$name", ({ schema, valid, later, invalid, invalid_text }) => {
  test.each(valid.map((frame) => [JSON.stringify(frame).slice(0, 60), frame]))("accepts and keeps %s", (_, frame) => {
    // Byte for byte: key order and number forms survive too.
    expect(JSON.stringify(schema.parse(JSON.parse(JSON.stringify(frame))))).toBe(JSON.stringify(frame));
  });

  test.each(later.map((frame) => [JSON.stringify(frame).slice(0, 60), frame]))(
    "leaves unread what a later version added to %s",
    (_, frame) => {
      refuses(() => schema.parse(frame));
      expect(schema.safeParse(known(schema, frame)).error).toBeUndefined();
    },
  );

  test.each(invalid.map((frame, i) => [i, frame]))("refuses frame %i", (_, frame) => {
    refuses(() => schema.parse(known(schema, frame)));
  });

  test.each(invalid_text.map((text, i) => [i, text]))("refuses text %i", (_, text) => {
    refuses(() => schema.parse(JSON.parse(text)));
  });
});

test("every type of frame has a golden one", () => {
  const types = (schema: typeof FromWorker | typeof ToWorker) =>
    schema.options.map((option) => option.shape.type.options[0]).sort();
  const seen = (frames: { type: string }[]) => [...new Set(frames.map((frame) => frame.type))].sort();
  expect(seen(fromWorker.valid)).toEqual(types(FromWorker));
  expect(seen(toWorker.valid)).toEqual(types(ToWorker));
});

describe("0.1.0", () => {
  test.each(firstFromWorker.map((frame, i) => [i, frame.type, frame]))(
    "its worker's frame %i, %s, is read",
    (_, __, frame) => {
      expect(FromWorker.safeParse(known(FromWorker, frame)).error).toBeUndefined();
    },
  );

  test.each(firstToWorker.map((frame, i) => [i, frame.type, frame]))(
    "its pool's frame %i, %s, would still be sent",
    (_, __, frame) => {
      expect(JSON.stringify(ToWorker.parse(frame))).toBe(JSON.stringify(frame));
    },
  );
});

describe("what a schema does not know", () => {
  const Inner = z.strictObject({ a: z.int(), more: z.array(z.strictObject({ b: z.int() })).optional() });
  const Outer = z.strictObject({
    one: Inner,
    either: z.union([
      z.discriminatedUnion("kind", [
        z.strictObject({ kind: z.enum(["x"]), x: z.int() }),
        z.strictObject({ kind: z.enum(["y"]), y: Inner.nullable() }),
      ]),
      z.null(),
    ]),
    open: z.record(z.string(), z.int()).default({}),
  });

  test("is left out at any depth, and nothing else", () => {
    const value = {
      one: { a: 1, new: 1, more: [{ b: 2, new: 2 }] },
      either: { kind: "y", y: { a: 3, new: 3 }, x: 4 },
      open: { any: 5 },
      new: [],
    };
    expect(known(Outer, value)).toEqual({
      one: { a: 1, more: [{ b: 2 }] },
      either: { kind: "y", y: { a: 3 } },
      open: { any: 5 },
    });
    for (const other of [null, 1, "text", [], { either: null }, { either: { kind: "z", q: 1 } }, { one: [1] }]) {
      expect(known(Outer, other)).toEqual(other);
    }
  });

  test("members of the prototype are none of the message's", () => {
    expect(known(z.strictObject({ toString: z.string().optional() }), {})).toEqual({});
    const { data } = z.unknown().safeParse(JSON.parse('{"__proto__": {"polluted": 1}, "a": 1}'));
    expect(known(Inner, data)).toEqual({ a: 1 });
  });
});
