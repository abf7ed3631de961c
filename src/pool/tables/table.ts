// The one door to SQLite: rows are parsed when read and encoded when written, by one zod schema a table.
import { z } from "zod";
import type { Meter } from "./meter.ts";

/** What a table needs of its object. */
export interface Door {
  sql: SqlStorage;
  meter: Meter;
}

/** A column that holds JSON. */
export const json = <T extends z.ZodType>(schema: T) =>
  z
    .codec(z.string(), z.unknown(), {
      decode: (text): unknown => JSON.parse(text),
      encode: (value) => JSON.stringify(value),
    })
    .pipe(schema);

/** A column that holds 0 or 1. */
export const flag = z.codec(z.int(), z.boolean(), {
  decode: (value) => value === 1,
  encode: (value) => (value ? 1 : 0),
});

/** A column of Unix milliseconds. */
export const time = z.int();

/** Characters of the columns that hold text: what parsing them costs. */
function textOf(row: Record<string, SqlStorageValue>): number {
  let chars = 0;
  for (const value of Object.values(row)) if (typeof value === "string") chars += value.length;
  return chars;
}

const Count = z.object({ n: z.int() });

export class Table<S extends z.ZodObject> {
  readonly #sql: SqlStorage;
  readonly #meter: Meter;
  readonly #name: string;
  readonly #row: S;
  readonly #codecs: Map<string, z.ZodType>;
  readonly #columns: string;

  constructor({ sql, meter }: Door, name: string, row: S) {
    this.#sql = sql;
    this.#meter = meter;
    this.#name = name;
    this.#row = row;
    this.#codecs = new Map(Object.entries<z.ZodType>(row.shape));
    this.#columns = [...this.#codecs.keys()].map((column) => `"${column}"`).join(", ");
  }

  all(where: string, ...params: SqlStorageValue[]): z.output<S>[] {
    return this.query(`SELECT ${this.#columns} FROM ${this.#name} WHERE ${where}`, params, this.#row);
  }

  one(where: string, ...params: SqlStorageValue[]): z.output<S> | null {
    return this.all(`${where} LIMIT 1`, ...params)[0] ?? null;
  }

  count(where: string, ...params: SqlStorageValue[]): number {
    return this.query(`SELECT count(*) AS n FROM ${this.#name} WHERE ${where}`, params, Count)[0]?.n ?? 0;
  }

  insert(row: z.output<S>): void {
    this.#write("INSERT", row);
  }

  /** Inserts, or replaces the row of the same primary key. */
  put(row: z.output<S>): void {
    this.#write("INSERT OR REPLACE", row);
  }

  /** The same for many rows in one statement. */
  putAll(rows: readonly z.output<S>[]): void {
    const [first] = rows;
    if (first === undefined) return;
    const encoded = rows.map((row) => Object.fromEntries(this.#encode(row)));
    const columns = this.#encode(first).map(([column]) => column);
    const values = columns.map((column) => `value ->> '$."${column}"'`).join(", ");
    const names = columns.map((column) => `"${column}"`).join(", ");
    // "true": without it the parser would take a clause that may follow for a join's.
    const from = "FROM json_each(?) WHERE true";
    this.run(`INSERT OR REPLACE INTO ${this.#name} (${names}) SELECT ${values} ${from}`, [JSON.stringify(encoded)]);
  }

  patch(fields: Partial<z.output<S>>, where: string, ...params: SqlStorageValue[]): void {
    const entries = this.#encode(fields);
    const set = entries.map(([column]) => `"${column}" = ?`).join(", ");
    const values = entries.map(([, value]) => value);
    this.run(`UPDATE ${this.#name} SET ${set} WHERE ${where}`, [...values, ...params]);
  }

  remove(where: string, ...params: SqlStorageValue[]): void {
    this.run(`DELETE FROM ${this.#name} WHERE ${where}`, params);
  }

  protected query<R extends z.ZodType>(statement: string, params: SqlStorageValue[], row: R): z.output<R>[] {
    const cursor = this.#sql.exec(statement, ...params);
    const rows = cursor.toArray();
    this.#meter.count(cursor);
    for (const found of rows) this.#meter.chars += textOf(found);
    return rows.map((found) => row.parse(found));
  }

  protected run(statement: string, params: SqlStorageValue[]): void {
    this.#meter.count(this.#sql.exec(statement, ...params));
  }

  #write(verb: string, row: z.output<S>): void {
    const entries = this.#encode(row);
    const columns = entries.map(([column]) => `"${column}"`).join(", ");
    const marks = entries.map(() => "?").join(", ");
    const values = entries.map(([, value]) => value);
    this.run(`${verb} INTO ${this.#name} (${columns}) VALUES (${marks})`, values);
  }

  #encode(fields: object): [string, SqlStorageValue][] {
    return Object.entries<unknown>({ ...fields }).map(([column, value]) => {
      const codec = this.#codecs.get(column);
      if (codec === undefined) throw new Error(`${this.#name} has no column ${column}`);
      return [column, z.union([z.string(), z.number(), z.null()]).parse(z.encode(codec, value))];
    });
  }
}
