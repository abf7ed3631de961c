// The passes that follow a change, a turn each, with others' turns between them.
export class Passes {
  readonly #pass: () => boolean;
  readonly #ended: () => void;
  #wanted = false;
  #running: Promise<void> | null = null;

  /** `pass` says whether another must follow; `ended` is called when none does. Neither throws. */
  constructor(pass: () => boolean, ended: () => void) {
    this.#pass = pass;
    this.#ended = ended;
  }

  /** Has a pass begin soon, after all that has changed by then. Resolves once none is wanted any more. */
  want(): Promise<void> {
    this.#wanted = true;
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    await Promise.resolve();
    while (this.#wanted) {
      this.#wanted = false;
      if (this.#pass()) this.#wanted = true;
      if (this.#wanted) await scheduler.wait(0);
    }
    this.#running = null;
    this.#ended();
  }
}
