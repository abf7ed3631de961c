// A response as its tokens come: what ends it, and what of it counts.

export type FinishReason = "stop" | "length";

/** What a response is written with. */
export interface Writing {
  /** The text of these tokens, special ones left out. */
  decode: (ids: readonly number[]) => string;
  stopIds: ReadonlySet<number>;
  stop: readonly string[];
  /** Tokens that it may have, the one that ends it included. */
  room: number;
}

interface End {
  text: string;
  reason: FinishReason;
}

/** `ids` are what was generated, with the token that ended it; `end` is null while it grows. */
export class Written {
  readonly ids: number[] = [];
  readonly #with: Writing;
  #end: End | null;

  constructor(writing: Writing) {
    this.#with = writing;
    this.#end = writing.room === 0 ? { text: "", reason: "length" } : null;
  }

  get end(): End | null {
    return this.#end;
  }

  /** Appends a token and sees whether it ends the response: a stop token of the model, a stop string, or the last for
   * which there is room. */
  add(token: number): void {
    this.ids.push(token);
    const { decode, stopIds, stop, room } = this.#with;
    if (stopIds.has(token)) {
      this.#end = { text: decode(this.ids.slice(0, -1)), reason: "stop" };
      return;
    }
    if (stop.length === 0 && this.ids.length < room) return;
    const text = decode(this.ids);
    const marks = stop.map((mark) => text.indexOf(mark)).filter((at) => at >= 0);
    if (marks.length > 0) this.#end = { text: text.slice(0, Math.min(...marks)), reason: "stop" };
    else if (this.ids.length >= room) this.#end = { text, reason: "length" };
  }
}
