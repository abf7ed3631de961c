// What a turn costs the object's thread, counted where it meets SQLite.
import { TURN_PARSED_CHARS, TURN_ROWS, TURN_STATEMENTS } from "../../config.ts";

export class Meter {
  statements = 0;
  /** Rows that SQLite has read, whatever it returned. */
  rows = 0;
  /** Characters of text that were parsed. */
  chars = 0;

  reset(): void {
    this.statements = 0;
    this.rows = 0;
    this.chars = 0;
  }

  count(cursor: { rowsRead: number }): void {
    this.statements += 1;
    this.rows += cursor.rowsRead;
  }

  /** Whether a turn may cost no more than this. */
  get over(): boolean {
    return this.statements > TURN_STATEMENTS || this.rows > TURN_ROWS || this.chars > TURN_PARSED_CHARS;
  }

  /** Whether a turn that does small things one after another should leave the rest to the next one. */
  get half(): boolean {
    return 2 * this.statements > TURN_STATEMENTS || 2 * this.rows > TURN_ROWS || 2 * this.chars > TURN_PARSED_CHARS;
  }

  get spent(): { statements: number; rows: number; chars: number } {
    const { statements, rows, chars } = this;
    return { statements, rows, chars };
  }
}
