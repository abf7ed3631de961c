// Where a suite that runs beside others prints: nothing is seen of it before its turn.

export class Screen {
  #kept = "";
  #shown = false;

  write(text: string): void {
    if (this.#shown) process.stdout.write(text);
    else this.#kept += text;
  }

  /** What was not shown. */
  get text(): string {
    return this.#kept;
  }

  /** Prints what was kept; from now on all is printed as it comes. */
  show(): this {
    this.#shown = true;
    process.stdout.write(this.#kept);
    this.#kept = "";
    return this;
  }
}
