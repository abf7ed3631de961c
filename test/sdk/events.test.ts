// The stream's text, cut anywhere, gives the same events.
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseEvents } from "../../src/sdk/events.ts";

const collect = async (chunks: Uint8Array<ArrayBuffer>[]) => {
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  const events = [];
  for await (const event of parseEvents(stream)) events.push(event);
  return events;
};

const bytes = (text: string) => Uint8Array.from(new TextEncoder().encode(text));

test("fields, comments, line ends, several data lines, ids that stay", async () => {
  const text =
    ': hello\nretry: 500\n\nid: 1\nevent: step\ndata: {"a":\ndata: 1}\n\ndata:x\r\nid:2\r\n\r\ndata: y\n\ndata: never ended\n';
  expect(await collect([bytes(text)])).toEqual([
    { id: "1", data: '{"a":\n1}' },
    { id: "2", data: "x" },
    { id: "2", data: "y" },
  ]);
});

test("cut anywhere, in the middle of a character too", async () => {
  const text = bytes("id: 7\ndata: Größe 🤖\n\nid: 8\ndata: b\n\n");
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(text.length)), async (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), text.length];
      const chunks = at.slice(1).map((end, i) => text.slice(at[i], end));
      expect(await collect(chunks)).toEqual([
        { id: "7", data: "Größe 🤖" },
        { id: "8", data: "b" },
      ]);
    }),
  );
});
