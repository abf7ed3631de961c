import { describe, expect, it } from "vitest";
import type { EdgeArtifact } from "../../src/wire/exports.ts";
import { Resident } from "../../src/scorer/resident.ts";

const artifact = (sha256: string): EdgeArtifact =>
  ({ model: {}, files: [{ name: "student.onnx", sha256 }] }) as unknown as EdgeArtifact;

/** Writes down what happens; every step takes a turn of the event loop. */
function watched() {
  const events: string[] = [];
  const turn = () => new Promise((resolve) => setTimeout(resolve));
  const resident = new Resident(async (_bucket, { files }) => {
    const name = files[0]!.sha256;
    events.push(`load ${name}`);
    await turn();
    if (name === "broken") throw new Error("broken");
    return { name, release: async () => void events.push(`release ${name}`) };
  });
  const use = (name: string) =>
    resident.use({} as R2Bucket, artifact(name), async (model) => {
      events.push(`begin ${model.name}`);
      await turn();
      events.push(`end ${model.name}`);
      return model.name;
    });
  return { events, use };
}

describe("the one model that is held", () => {
  it("is loaded once for all who ask, who take turns", async () => {
    const { events, use } = watched();
    expect(await Promise.all([use("a"), use("a"), use("a")])).toEqual(["a", "a", "a"]);
    expect(events).toEqual(["load a", ...Array.from({ length: 3 }, () => ["begin a", "end a"]).flat()]);
  });

  it("is let go before another is loaded, when nobody runs it", async () => {
    const { events, use } = watched();
    await Promise.all([use("a"), use("b")]);
    expect(events).toEqual(["load a", "begin a", "end a", "release a", "load b", "begin b", "end b"]);
  });

  it("that does not load is nobody else's trouble", async () => {
    const { events, use } = watched();
    const [first, second, third] = await Promise.allSettled([use("a"), use("broken"), use("a")]);
    expect([first, second, third].map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(events.filter((event) => /load|release/.test(event))).toEqual([
      "load a",
      "release a",
      "load broken",
      "load a",
    ]);
  });
});
