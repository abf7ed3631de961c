// The Porter stemmer in the form that rouge-score uses: the published algorithm with NLTK's documented extensions.
// Source: M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980; extensions: NLTK's `PorterStemmer`.
// Words are of [a-z0-9]; a digit counts as a consonant.

interface Rule {
  suffix: string;
  replacement: string;
}

/** Rules as `suffix>replacement`; within a step the first suffix that the word ends with decides. */
const rules = (list: string): Rule[] =>
  list.split(" ").map((rule) => {
    const [suffix = "", replacement = ""] = rule.split(">");
    return { suffix, replacement };
  });

/** Looked up before any rule. */
const IRREGULAR = new Map(
  rules(
    "sky>sky skies>sky dying>die lying>lie tying>tie news>news inning>inning innings>inning outing>outing " +
      "outings>outing canning>canning cannings>canning howe>howe proceed>proceed exceed>exceed succeed>succeed",
  ).map((rule) => [rule.suffix, rule.replacement]),
);

const PLURALS = rules("sses>ss ies>i ss>ss s>");

const DOUBLE_SUFFIXES = rules(
  "ational>ate tional>tion enci>ence anci>ance izer>ize bli>ble alli>al entli>ent eli>e ousli>ous ization>ize " +
    "ation>ate ator>ate alism>al iveness>ive fulness>ful ousness>ous aliti>al iviti>ive biliti>ble fulli>ful logi>log",
);

const SINGLE_SUFFIXES = rules("icate>ic ative> alize>al iciti>ic ical>ic ful> ness>");

const LAST_SUFFIXES = rules(
  "al> ance> ence> er> ic> able> ible> ant> ement> ment> ent> ion> ou> ism> ate> iti> ous> ive> ize>",
);

/** The word's letters as `c` and `v`: y is a vowel after a consonant. */
function shape(word: string): string {
  let letters = "";
  for (const letter of word) {
    const vowel = letter === "y" ? letters.endsWith("c") : "aeiou".includes(letter);
    letters += vowel ? "v" : "c";
  }
  return letters;
}

/** Porter's m: how many times consonants follow vowels. */
const measure = (stem: string): number => shape(stem).split("vc").length - 1;

const hasVowel = (stem: string): boolean => shape(stem).includes("v");

const endsInDouble = (word: string): boolean => word.at(-1) === word.at(-2) && shape(word).endsWith("c");

/** Porter's *o: ends consonant, vowel, consonant other than w, x, y; or is just a vowel and a consonant. */
function endsShort(stem: string): boolean {
  const letters = shape(stem);
  return letters === "vc" || (letters.endsWith("cvc") && !/[wxy]$/.test(stem));
}

/** Replaces the first suffix that the word ends with, if what is before it satisfies `condition`. */
function apply(word: string, list: readonly Rule[], condition: (stem: string, suffix: string) => boolean): string {
  const rule = list.find(({ suffix }) => word.endsWith(suffix));
  if (rule === undefined) return word;
  const rest = word.slice(0, word.length - rule.suffix.length);
  return condition(rest, rule.suffix) ? rest + rule.replacement : word;
}

function removePlural(word: string): string {
  if (word.length === 4 && word.endsWith("ies")) return word.slice(0, -1);
  return apply(word, PLURALS, () => true);
}

/** What follows the removal of -ed or -ing. */
function repair(stem: string): string {
  if (/(at|bl|iz)$/.test(stem)) return `${stem}e`;
  if (endsInDouble(stem)) return /[lsz]$/.test(stem) ? stem : stem.slice(0, -1);
  return measure(stem) === 1 && endsShort(stem) ? `${stem}e` : stem;
}

function removePast(word: string): string {
  if (word.endsWith("ied")) return word.slice(0, word.length === 4 ? -1 : -2);
  if (word.endsWith("eed")) return measure(word.slice(0, -3)) > 0 ? word.slice(0, -1) : word;
  for (const suffix of ["ed", "ing"]) {
    const stem = word.slice(0, -suffix.length);
    if (word.endsWith(suffix) && hasVowel(stem)) return repair(stem);
  }
  return word;
}

const replaceY = (word: string): string =>
  word.length > 2 && word.endsWith("y") && shape(word.slice(0, -1)).endsWith("c") ? `${word.slice(0, -1)}i` : word;

/** -alli becomes -al first, and the result is looked at again; of -logi the l counts towards the measure. */
function simplify(word: string): string {
  if (word.endsWith("alli") && measure(word.slice(0, -4)) > 0) return simplify(word.slice(0, -2));
  return apply(word, DOUBLE_SUFFIXES, (stem, suffix) => measure(suffix === "logi" ? `${stem}l` : stem) > 0);
}

const removeLast = (word: string): string =>
  apply(word, LAST_SUFFIXES, (stem, suffix) => measure(stem) > 1 && (suffix !== "ion" || /[st]$/.test(stem)));

function removeE(word: string): string {
  if (!word.endsWith("e")) return word;
  const stem = word.slice(0, -1);
  const m = measure(stem);
  return m > 1 || (m === 1 && !endsShort(stem)) ? stem : word;
}

const undouble = (word: string): string =>
  word.endsWith("ll") && measure(word.slice(0, -1)) > 1 ? word.slice(0, -1) : word;

/** The stem of a lower-case word. */
export function stem(word: string): string {
  const irregular = IRREGULAR.get(word);
  if (irregular !== undefined) return irregular;
  if (word.length <= 2) return word;
  const simple = simplify(replaceY(removePast(removePlural(word))));
  return undouble(removeE(removeLast(apply(simple, SINGLE_SUFFIXES, (rest) => measure(rest) > 0))));
}
