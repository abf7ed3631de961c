import { irregularPasts, irregularPlurals } from "./words.ts";

/** city, cities; box, boxes; dog, dogs; and the listed exceptions. */
export function pluralOf(noun: string): string {
  const irregular = irregularPlurals.get(noun);
  if (irregular !== undefined) return irregular;
  if (/[^aeiou]y$/.test(noun)) return noun.replace(/y$/, "ies");
  return /(s|x|z|ch|sh)$/.test(noun) ? `${noun}es` : `${noun}s`;
}

/** try, tried; move, moved; stop, stopped (one syllable: consonant, vowel, consonant); play, played; and the exceptions. */
export function pastOf(verb: string): string {
  const irregular = irregularPasts.get(verb);
  if (irregular !== undefined) return irregular;
  if (/[^aeiou]y$/.test(verb)) return verb.replace(/y$/, "ied");
  if (verb.endsWith("e")) return `${verb}d`;
  return /^[^aeiou]+[aeiou][^aeiouwxy]$/.test(verb) ? `${verb}${verb.slice(-1)}ed` : `${verb}ed`;
}
