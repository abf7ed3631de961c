import { describe, expect, it } from "vitest";
import { handOver } from "../../src/student/weights.ts";

const pieces = (): Uint8Array<ArrayBuffer>[] => [
  Uint8Array.of(0, 1, 2, 3),
  Uint8Array.of(4, 5, 6, 7),
  Uint8Array.of(8),
];

describe("weights on their way into the runtime", () => {
  it("are read as one file, in any order", () => {
    const [file] = handOver([{ name: "weights-0.bin", pieces: pieces() }]);
    expect(file!.data).toBeInstanceOf(Uint8Array);
    expect(file!.data.byteLength).toBe(9);
    expect([...file!.data.subarray(3, 9)]).toEqual([3, 4, 5, 6, 7, 8]);
    expect([...file!.data.subarray(0, 3)]).toEqual([0, 1, 2]);
  });

  it("are freed as soon as they have been read, and what was lent when the next is asked for", () => {
    const [first, second] = [pieces(), pieces()];
    const [one, two] = handOver([
      { name: "weights-0.bin", pieces: first },
      { name: "weights-1.bin", pieces: second },
    ]);
    const lent = one!.data.subarray(2, 8);
    expect(first.map(({ buffer }) => buffer.detached)).toEqual([false, true, false]);
    one!.data.subarray(0, 2);
    expect(lent.byteLength).toBe(0);
    expect(first.map(({ buffer }) => buffer.detached)).toEqual([true, true, false]);
    two!.data.subarray(0, 9);
    expect(second.every(({ buffer }) => buffer.detached)).toBe(true);
  });

  it("cannot be read twice", () => {
    const [file] = handOver([{ name: "weights-0.bin", pieces: pieces() }]);
    file!.data.subarray(0, 4);
    expect(() => file!.data.subarray(0, 4)).toThrow("read before");
  });
});
