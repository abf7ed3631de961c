// How much one socket may send: the object has one thread, and parses what comes.
import { FRAMES_AT_ONCE, FRAMES_PER_S, FRAME_UNIT_BYTES } from "../config.ts";

interface Bucket {
  tokens: number;
  at: number;
  /** It has sent too much, and is closed: what still comes of it is not read. */
  over: boolean;
}

export class Pace {
  readonly #buckets = new Map<string, Bucket>();

  /** Takes a frame of so many characters from the socket's bucket. over: that was the one too many; gone: after it. */
  take(socket: string, chars: number, now: number): "ok" | "over" | "gone" {
    const bucket = this.#buckets.get(socket) ?? { tokens: FRAMES_AT_ONCE, at: now, over: false };
    this.#buckets.set(socket, bucket);
    if (bucket.over) return "gone";
    const earned = (Math.max(0, now - bucket.at) / 1000) * FRAMES_PER_S;
    bucket.tokens = Math.min(FRAMES_AT_ONCE, bucket.tokens + earned) - Math.max(1, chars / FRAME_UNIT_BYTES);
    bucket.at = now;
    bucket.over = bucket.tokens < 0;
    return bucket.over ? "over" : "ok";
  }

  forget(socket: string): void {
    this.#buckets.delete(socket);
  }
}
