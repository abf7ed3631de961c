// The golden frames that gpu-worker's tests read too: what one side accepts or refuses, the other does.
import { describe, expect, test } from "vitest";
import { BlobStored } from "../../src/wire/blobs.ts";
import { Row } from "../../src/wire/datasets.ts";
import { FromWorker, ToWorker } from "../../src/wire/pool.ts";
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

describe.each(families)("$name", ({ schema, valid, invalid, invalid_text }) => {
  test.each(valid.map((frame) => [JSON.stringify(frame).slice(0, 60), frame]))("accepts and keeps %s", (_, frame) => {
    // Byte for byte: key order and number forms survive too.
    expect(JSON.stringify(schema.parse(JSON.parse(JSON.stringify(frame))))).toBe(JSON.stringify(frame));
  });

  test.each(invalid.map((frame, i) => [i, frame]))("refuses frame %i", (_, frame) => {
    refuses(() => schema.parse(frame));
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
