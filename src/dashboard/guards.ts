// Reads what the network sent: a value has a type once its guard has looked at it. The types themselves are those of
// `src/wire`. Its zod schemas would do the same at several times the size of this whole page, and refuse a field that
// a newer server adds while an older page is still open in a tab.

export type Is<T> = (value: unknown) => value is T;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

/** A type of the wire as the page takes it: where it lists names (statuses, templates, metrics), any text will do. */
export type Read<T> = T extends string
  ? string
  : T extends readonly (infer Item)[]
    ? Read<Item>[]
    : T extends object
      ? { [K in keyof T]: Read<T[K]> }
      : T;

export const text: Is<string> = (value) => typeof value === "string";

/** One text and no other: what tells the members of a union apart. */
export const exactly =
  <T extends string>(wanted: T): Is<T> =>
  (value): value is T =>
    value === wanted;

export const number: Is<number> = (value) => typeof value === "number";

export const isBytes: Is<ArrayBuffer> = (value) => value instanceof ArrayBuffer;

export const flag: Is<boolean> = (value) => typeof value === "boolean";

export const orNull =
  <T>(is: Is<T>): Is<T | null> =>
  (value): value is T | null =>
    value === null || is(value);

export const either =
  <A, B>(a: Is<A>, b: Is<B>): Is<A | B> =>
  (value): value is A | B =>
    a(value) || b(value);

export const listOf =
  <T>(is: Is<T>): Is<T[]> =>
  (value): value is T[] =>
    Array.isArray(value) && value.every(is);

/** An object whose every value is one of `T`, whatever its keys. */
export const dictionary =
  <T>(is: Is<T>): Is<Partial<Record<string, T>>> =>
  (value): value is Partial<Record<string, T>> =>
    isObject(value) && Object.values(value).every(is);

/** An object with these fields; further ones are let be. A field of `T` that is not named here does not compile. */
export const object =
  <T extends object>(fields: { readonly [K in keyof T]-?: Is<T[K]> }): Is<T> =>
  (value): value is T => {
    if (!isObject(value)) return false;
    for (const name in fields) if (!fields[name](value[name])) return false;
    return true;
  };
