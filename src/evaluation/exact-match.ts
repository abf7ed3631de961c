// Exact match, as the DPKD authors compare answers; and the form of a text that other metrics share with it.

/** White space of Python's `str.split()`: unlike JavaScript's it has U+001C to U+001F and U+0085, and lacks U+FEFF. */
const WHITE_SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

/** Python's `string.punctuation`. */
const ASCII_PUNCTUATION = /[!-/:-@[-`{-~]/g;

/** The words of a text, lower-cased and without ASCII punctuation; articles stay. */
export const normalizedWords = (text: string): string[] =>
  text
    .toLowerCase()
    .replace(ASCII_PUNCTUATION, "")
    .split(WHITE_SPACE)
    .filter((word) => word !== "");

/** Lower-cased, without ASCII punctuation, white space squeezed; articles stay. */
export const normalize = (text: string): string => normalizedWords(text).join(" ");

/** Whether the response equals one of the references, both normalised. */
export function exactMatch(response: string, references: readonly string[]): boolean {
  const normalized = normalize(response);
  return references.some((reference) => normalize(reference) === normalized);
}
