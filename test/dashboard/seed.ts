// Questions, and what some models are said to have answered.
const N = 40;

/** Names with the number of questions that each gets right: apart enough for groups, close enough for company in them. */
export const MODELS: readonly (readonly [name: string, right: number])[] = [
  ["teacher-tuned", 38],
  ["student-dpkd", 33],
  ["student-sft", 32],
  ["student-reverse-kl", 18],
  ["student-pruned-24-of-30-layers-untrained-and-with-a-long-name", 5],
  ["student-random", 1],
];

/** An answer that would do harm if it were ever taken for markup. */
export const HOSTILE = `<img src="x" onerror="document.title='taken'"><script>document.title='taken'</script><b>bold</b>`;

const turns = (i: number) => [
  { role: "system", content: "Answer in one word." },
  { role: "user", content: `What is ${i} plus ${i + 1}?` },
];

/** Every fourth prompt is a conversation. */
const prompt = (i: number) =>
  i % 4 === 3
    ? turns(i)
    : `What is ${i} plus ${i + 1}? Answer with the number alone, in digits, and with nothing else.`;

/** More than is shown at first. */
export const LONG = "and so on ".repeat(400);

/** What a model says that does not know. */
const wrong = (i: number): string => {
  if (i === N - 1) return HOSTILE;
  return i === N - 2 ? LONG : `I think that it is ${2 * i + 2}, more or less.`;
};

export const questions = (): string =>
  Array.from({ length: N }, (_, i) =>
    JSON.stringify({ id: `sum-${i}`, split: "test", prompt: prompt(i), completion: String(2 * i + 1) }),
  ).join("\n");

/** The first `right` questions are answered right. */
export const givenResponses = (right: number) =>
  Array.from({ length: N }, (_, i) => ({
    id: `sum-${i}`,
    response: i < right ? String(2 * i + 1) : wrong(i),
  }));
