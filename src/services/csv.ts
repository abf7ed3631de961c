// CSV as RFC 4180 has it: CRLF after each line, cells quoted where they must be.

export type Cell = string | number | null;

/** A spreadsheet takes a text that begins like this for a formula, and runs it; an apostrophe makes it a text again. */
const FORMULA = /^[=+\-@\t\r]/;
const NEEDS_QUOTES = /[",\r\n]/;

function written(cell: Cell): string {
  if (typeof cell !== "string") return cell === null ? "" : String(cell);
  const harmless = FORMULA.test(cell) ? `'${cell}` : cell;
  return NEEDS_QUOTES.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

export const csvLine = (cells: readonly Cell[]): string => `${cells.map(written).join(",")}\r\n`;
