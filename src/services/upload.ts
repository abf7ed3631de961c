// A data set's upload: read once, line by line; nothing is stored until every line has been found good.
import { MAX_DATASET_BYTES, MAX_DATASET_ROWS } from "../config.ts";
import { ApiError } from "../errors.ts";
import type { DatasetFormat, Row } from "../wire/datasets.ts";
import { hex } from "./identity.ts";
import { lines } from "./lines.ts";
import { badLine, parseLine } from "./rows.ts";
import type { ParsedLine } from "./rows.ts";
import { capped } from "./stream.ts";

/** Splits of one data set: each is a blob, and all are named in one row of D1. */
const MAX_SPLITS = 32;
/** Names of ignored columns that are kept: enough to see what was left out. */
const MAX_IGNORED = 100;
/** Rows between two marks: the largest page. */
export const MARK_EVERY = 100;

/** One split as JSON Lines of `Row`. */
export interface SplitLines {
  chunks: Uint8Array[];
  rows: number;
  bytes: number;
  marks: { after: string; offset: number }[];
}

export interface Upload {
  format: DatasetFormat;
  /** Of the bytes as they were sent. */
  sha256: string;
  rows: number;
  bytes: number;
  ignored: string[];
  splits: Map<string, SplitLines>;
}

/** What the lines so far have come to. */
class Collector {
  format: DatasetFormat | null = null;
  rows = 0;
  bytes = 0;
  readonly ignored = new Set<string>();
  readonly splits = new Map<string, SplitLines>();
  readonly #ids = new Map<string, number>();
  readonly #lastIds = new Map<string, string>();
  readonly #encoder = new TextEncoder();

  add(number: number, parsed: ParsedLine): void {
    const { row, format, ignored } = parsed;
    this.format ??= format;
    if (format !== this.format)
      throw badLine(
        number,
        `it is of format ${format}, the lines before it of ${this.format}; upload one format at a time.`,
      );
    const twin = this.#ids.get(row.id);
    if (twin !== undefined) throw badLine(number, `its id ${row.id} is that of line ${twin}; ids must differ.`);
    if (this.rows === MAX_DATASET_ROWS)
      throw new ApiError("too_large", `A data set holds ${MAX_DATASET_ROWS} rows at the most; make two.`);
    this.#ids.set(row.id, number);
    this.rows += 1;
    for (const column of ignored) if (this.ignored.size < MAX_IGNORED) this.ignored.add(column.slice(0, 100));
    this.#append(number, row);
  }

  #append(number: number, row: Row): void {
    const split = this.splits.get(row.split) ?? { chunks: [], rows: 0, bytes: 0, marks: [] };
    this.splits.set(row.split, split);
    if (this.splits.size > MAX_SPLITS)
      throw badLine(number, `its split ${row.split} is one too many; a data set has ${MAX_SPLITS} at the most.`);
    const before = this.#lastIds.get(row.split);
    if (before !== undefined && split.rows % MARK_EVERY === 0) split.marks.push({ after: before, offset: split.bytes });
    this.#lastIds.set(row.split, row.id);
    const line = this.#encoder.encode(`${JSON.stringify(row)}\n`);
    split.chunks.push(line);
    split.rows += 1;
    split.bytes += line.byteLength;
    this.bytes += line.byteLength;
    if (this.bytes > MAX_DATASET_BYTES) {
      throw new ApiError(
        "too_large",
        `The rows come to more than ${MAX_DATASET_BYTES} bytes as stored; make two data sets.`,
      );
    }
  }
}

/** Reads and checks a whole upload. `split` is that of rows which name none. */
export async function readUpload(body: ReadableStream<Uint8Array> | null, split: string): Promise<Upload> {
  const collector = new Collector();
  const digest = new crypto.DigestStream("SHA-256");
  const writer = digest.getWriter();
  const chunks = capped(body, MAX_DATASET_BYTES, "The data set");
  for await (const line of lines(chunks, (chunk) => writer.write(chunk))) {
    if (line.text.trim() !== "") collector.add(line.number, parseLine(line, split));
  }
  await writer.close();
  const { format, rows, bytes, ignored, splits } = collector;
  if (format === null)
    throw new ApiError("invalid_request", "The body has no rows; send JSON Lines, one JSON object a line.");
  return { format, sha256: hex(await digest.digest), rows, bytes, ignored: [...ignored], splits };
}
