// The final number of an answer, as the word problems of GSM8K are graded.

/**
 * A number as people write it: thousands in groups of three behind commas, a decimal point, a currency sign before it, a
 * minus before or after that sign. What stands before a minus decides whether it is one: in `10-20`, `x-2` or `(a)-1` it
 * is not. `.5` begins a number unless a letter or digit comes before it, as at the end of a sentence that lacks a space.
 */
const NUMBER =
  /(?:(?<![\p{L}\p{N}\p{Pe}%])(?<minus>[-\u2212]))?(?:\p{Sc}(?<inner>[-\u2212])?)?(?:(?<whole>[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.(?<part>[0-9]+))?|(?<![\p{L}\p{N}])\.(?<only>[0-9]+))/gu;

/** Without zeros at the end; a regular expression would take quadratic time on a long run of them. */
function trimZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits[end - 1] === "0") end--;
  return digits.slice(0, end);
}

/** The one way to write a number: equal numbers, equal text. */
function canonical({ minus, inner, whole = "", part, only }: Partial<Record<string, string>>): string {
  const integer = whole.replaceAll(",", "").replace(/^0+/, "");
  const fraction = trimZeros(part ?? only ?? "");
  const size = `${integer === "" ? "0" : integer}${fraction === "" ? "" : `.${fraction}`}`;
  return (minus ?? inner) !== undefined && size !== "0" ? `-${size}` : size;
}

/** The last number of a text in canonical form; null where it has none. */
function lastNumber(text: string): string | null {
  let last: Partial<Record<string, string>> | null = null;
  for (const { groups } of text.matchAll(NUMBER)) last = groups ?? null;
  return last === null ? null : canonical(last);
}

/**
 * Whether the last number of the response equals the last number of a reference, as exact decimals and not as floats:
 * `1,234.50` is `1234.5`. Null where no reference holds a number; false where the response holds none. Fractions,
 * exponents and numbers in words are not read.
 *
 * Source: K. Cobbe et al., "Training verifiers to solve math word problems", 2021: the final answer decides.
 */
export function numericMatch(response: string, references: readonly string[]): boolean | null {
  const wanted = references.map(lastNumber).filter((number) => number !== null);
  if (wanted.length === 0) return null;
  const given = lastNumber(response);
  return given !== null && wanted.includes(given);
}
