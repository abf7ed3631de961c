// The one door to SQLite: rows are parsed when read and encoded when written, by one zod schema a table.
import { z } from "zod";

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

export class Table<S extends z.ZodObject> {
  readonly #sql: SqlStorage;
  readonly #name: string;
  readonly #row: S;
  readonly #codecs: Map<string, z.ZodType>;
  readonly #columns: string;

  constructor(sql: SqlStorage, name: string, row: S) {
    this.#sql = sql;
    this.#name = name;
    this.#row = row;
    this.#codecs = new Map(Object.entries<z.ZodType>(row.shape));
    this.#columns = [...this.#codecs.keys()].map((column) => `"${column}"`).join(", ");
  }

  all(where: string, ...params: SqlStorageValue[]): z.output<S>[] {
    const rows = this.#sql.exec(`SELECT ${this.#columns} FROM ${this.#name} WHERE ${where}`, ...params).toArray();
    return rows.map((row) => this.#row.parse(row));
  }

  one(where: string, ...params: SqlStorageValue[]): z.output<S> | null {
    return this.all(`${where} LIMIT 1`, ...params)[0] ?? null;
  }

  count(where: string, ...params: SqlStorageValue[]): number {
    const row = this.#sql.exec(`SELECT count(*) AS n FROM ${this.#name} WHERE ${where}`, ...params).one();
    return z.int().parse(row.n);
  }

  insert(row: z.output<S>): void {
    this.#write("INSERT", row);
  }

  /** Inserts, or replaces the row of the same primary key. */
  put(row: z.output<S>): void {
    this.#write("INSERT OR REPLACE", row);
  }

  patch(fields: Partial<z.output<S>>, where: string, ...params: SqlStorageValue[]): void {
    const entries = this.#encode(fields);
    const set = entries.map(([column]) => `"${column}" = ?`).join(", ");
    const values = entries.map(([, value]) => value);
    this.#sql.exec(`UPDATE ${this.#name} SET ${set} WHERE ${where}`, ...values, ...params);
  }

  remove(where: string, ...params: SqlStorageValue[]): void {
    this.#sql.exec(`DELETE FROM ${this.#name} WHERE ${where}`, ...params);
  }

  #write(verb: string, row: z.output<S>): void {
    const entries = this.#encode(row);
    const columns = entries.map(([column]) => `"${column}"`).join(", ");
    const marks = entries.map(() => "?").join(", ");
    const values = entries.map(([, value]) => value);
    this.#sql.exec(`${verb} INTO ${this.#name} (${columns}) VALUES (${marks})`, ...values);
  }

  #encode(fields: object): [string, SqlStorageValue][] {
    return Object.entries<unknown>({ ...fields }).map(([column, value]) => {
      const codec = this.#codecs.get(column);
      if (codec === undefined) throw new Error(`${this.#name} has no column ${column}`);
      return [column, z.union([z.string(), z.number(), z.null()]).parse(z.encode(codec, value))];
    });
  }
}
