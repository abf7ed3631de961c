// The text of tokens as they come.

const UNFINISHED = "\ufffd";

/** A character may take several tokens: its text is that of the last of them, and the others' is empty. */
export class Pieces {
  readonly #text: (ids: readonly number[]) => string;
  #open: number[] = [];

  constructor(text: (ids: readonly number[]) => string) {
    this.#text = text;
  }

  add(id: number): string {
    const text = this.#text([...this.#open, id]);
    this.#open = text.endsWith(UNFINISHED) ? [...this.#open, id] : [];
    return this.#open.length === 0 ? text : "";
  }
}
