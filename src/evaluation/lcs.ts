// The length of the longest common subsequence, 32 tokens at once.

/** For each distinct token of `a`, a bit at every place where it stands. */
function places(a: readonly string[], words: number): Map<string, Uint32Array> {
  const masks = new Map<string, Uint32Array>();
  a.forEach((token, i) => {
    const mask = masks.get(token) ?? new Uint32Array(words);
    masks.set(token, mask);
    mask[i >>> 5] = (mask[i >>> 5] ?? 0) | (1 << (i & 31));
  });
  return masks;
}

/** How many of the first `length` bits are 0. */
function zeros(bits: Uint32Array, length: number): number {
  let count = 0;
  for (let i = 0; i < length; i++) if ((((bits[i >>> 5] ?? 0) >>> (i & 31)) & 1) === 0) count++;
  return count;
}

/**
 * Length of the longest common subsequence of two token lists, in `O(|a| |b| / 32)`.
 *
 * One row of the table is a bit vector V, 0 where the row grows: `V' = (V + (V & M)) | (V & ~M)`, M the places of b's
 * token in a. Source: H. Hyyro, "Bit-parallel LCS-length computation revisited", AWOCA 2004.
 */
export function lcsLength(a: readonly string[], b: readonly string[]): number {
  const words = Math.ceil(a.length / 32);
  const masks = places(a, words);
  const row = new Uint32Array(words).fill(0xffffffff);
  for (const token of b) {
    const mask = masks.get(token);
    if (mask !== undefined) advance(row, mask);
  }
  return zeros(row, a.length);
}

function advance(row: Uint32Array, mask: Uint32Array): void {
  let carry = 0;
  for (let w = 0; w < row.length; w++) {
    const v = row[w] ?? 0;
    const m = mask[w] ?? 0;
    const sum = v + ((v & m) >>> 0) + carry;
    carry = sum > 0xffffffff ? 1 : 0;
    row[w] = sum | (v & ~m);
  }
}
