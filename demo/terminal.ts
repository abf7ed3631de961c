// What the demo draws: live lines, phases with their times, wrapped notes.

const live = process.stdout.isTTY;
/** Where the output is no terminal, one line of progress this often, ms. */
const QUIET_MS = 10_000;
const WIDTH = Math.min(process.stdout.columns || 100, 120);
const CLEAR = "\r\x1b[K";

const style = (code: number) => (text: string) => (live ? `\x1b[${code}m${text}\x1b[0m` : text);
export const bold = style(1);
export const dim = style(2);
export const green = style(32);

export const say = (text = ""): void => console.log(text);

/** Breaks a paragraph into lines of at most `width`, each indented. */
export function wrap(text: string, indent: string, width = WIDTH): string {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(" ")) {
    if (line.length + word.length + 1 > width && line !== indent) {
      lines.push(line);
      line = indent;
    }
    line += line === indent ? word : ` ${word}`;
  }
  return [...lines, line].join("\n");
}

/** What a newcomer could misread, said where the number is shown. */
export const note = (text: string): void => say(dim(wrap(text, "    ")));

export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

export function bar(done: number, total: number, width = 20): string {
  const filled = total === 0 ? 0 : Math.round((Math.min(done, total) / total) * width);
  return "█".repeat(filled) + "░".repeat(width - filled);
}

/** One line that is drawn over itself; a plain line now and then where there is no terminal. */
export class LiveLine {
  #last = 0;

  show(text: string): void {
    if (live) process.stdout.write(`${CLEAR}${`    ${text}`.slice(0, (process.stdout.columns || WIDTH) - 1)}`);
    else if (Date.now() - this.#last >= QUIET_MS) {
      this.#last = Date.now();
      say(`    ${text}`);
    }
  }

  /** Leaves `text` behind in its place. */
  end(text: string): void {
    if (live) process.stdout.write(CLEAR);
    say(`    ${text}`);
  }
}

export interface PhaseTime {
  name: string;
  ms: number;
}

/** Runs the demo's phases and keeps the time of each. */
export class Phases {
  readonly times: PhaseTime[] = [];

  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    say(`\n${bold(`${this.times.length + 1}. ${name}`)}`);
    const started = Date.now();
    const result = await work();
    this.times.push({ name, ms: Date.now() - started });
    return result;
  }

  report(): void {
    const width = Math.max(...this.times.map(({ name }) => name.length));
    for (const { name, ms } of this.times) say(`    ${name.padEnd(width)}  ${duration(ms).padStart(12)}`);
    const total = this.times.reduce((sum, { ms }) => sum + ms, 0);
    say(`    ${"together".padEnd(width)}  ${duration(total).padStart(12)}`);
  }
}
