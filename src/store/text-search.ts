// Whether a text holds another, A-Z like a-z, as a condition of SQL.
import { sql } from "drizzle-orm";
import type { SQL } from "drizzle-orm";

/** `instr` and not LIKE: D1 takes patterns of 50 bytes, and no character of the text is a wildcard. */
export const holds = (column: SQL, text: string): SQL => sql`instr(lower(${column}), lower(${text})) > 0`;

/** In a prompt of several turns the roles are no text of it. */
export const promptHolds = (prompt: SQL, text: string): SQL => sql`exists (
  select 1 from json_tree(${prompt}) as part
  where part.type = 'text' and part.key is not 'role' and ${holds(sql`part.atom`, text)})`;
