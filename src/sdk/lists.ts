// Lists come in pages; a reader may take them one item at a time.
import type { z } from "zod";
import type { Call, Http } from "./http.ts";

export interface PageOptions {
  /** The id of the last item already seen. */
  after?: string;
  limit?: number;
}

interface Page<T> {
  data: T[];
  has_more: boolean;
  last_id: string | null;
}

/** Every item of a list, page by page; `query` is what every page is asked for besides. */
export async function* every<T>(
  http: Http,
  schema: z.ZodType<Page<T>>,
  path: string,
  { after, limit = 100 }: PageOptions = {},
  query: NonNullable<Call["query"]> = {},
): AsyncGenerator<T> {
  let cursor: string | null = after ?? null;
  for (;;) {
    const page: Page<T> = await http.json(schema, path, { query: { ...query, after: cursor, limit } });
    yield* page.data;
    if (!page.has_more) return;
    cursor = page.last_id;
  }
}
