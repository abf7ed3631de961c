// A small deterministic generator: the same seed gives the same interval and the same p-value on every machine.

/** Spreads a 32-bit seed over the state (splitmix32: a Weyl sequence through a finaliser). */
function* splitmix32(seed: number): Generator<number, never> {
  for (let state = seed | 0; ;) {
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    yield z ^ (z >>> 15);
  }
}

const rotate = (x: number, k: number): number => (x << k) | (x >>> (32 - k));

/** Fills an array with the next words of a stream. Many at a time, since the state is then in registers and not on the heap. */
export type Words = (into: Uint32Array) => void;

/**
 * xoshiro128**: uniform 32-bit unsigned integers, period 2^128 - 1.
 *
 * Source: D. Blackman and S. Vigna, "Scrambled linear pseudorandom number generators", 2018.
 */
export function randomWords(seed: number): Words {
  const seeds = splitmix32(seed);
  let state = [seeds.next().value, seeds.next().value, seeds.next().value, seeds.next().value] as const;
  return (into) => {
    let [a, b, c, d] = state;
    for (let i = 0; i < into.length; i++) {
      into[i] = Math.imul(rotate(Math.imul(b, 5), 7), 9);
      const t = b << 9;
      c ^= a;
      d ^= b;
      b ^= c;
      a ^= d;
      c ^= t;
      d = rotate(d, 11);
    }
    state = [a, b, c, d];
  };
}

/** Uniform integer in `[0, n)` from one word: the bias is at most n / 2^32. */
export const below = (word: number, n: number): number => Math.floor((word / 4_294_967_296) * n);
