// The list envelope of every collection.
export interface Page<T> {
  object: "list";
  data: T[];
  has_more: boolean;
  first_id: string | null;
  last_id: string | null;
}

/** `cursor`: what `after` names an item by. */
export const envelope = <T>(data: T[], has_more: boolean, cursor: (item: T) => string): Page<T> => {
  const [first] = data;
  const last = data.at(-1);
  return {
    object: "list",
    data,
    has_more,
    first_id: first === undefined ? null : cursor(first),
    last_id: last === undefined ? null : cursor(last),
  };
};

/** Give it one row more than `limit`: the surplus tells whether there are more. */
export const page = <T extends { id: string }>(rows: readonly T[], limit: number): Page<T> =>
  envelope(rows.slice(0, limit), rows.length > limit, ({ id }) => id);
