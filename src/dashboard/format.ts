// Figures and names as people read them.

export const points = (value: number): string => value.toFixed(1);

export const range = ({ low, high }: { low: number; high: number }): string => `${points(low)} to ${points(high)}`;

/** Three digits: more would promise what a test of a few hundred items cannot keep. */
export const pValue = (p: number): string => (p < 0.001 ? "< 0.001" : p.toFixed(3));

export const count = (n: number, one: string, many = `${one}s`): string =>
  `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

export const day = (timestamp: string): string =>
  new Date(timestamp).toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" });

export const templateName = (template: string | null): string =>
  template === null ? "given responses" : `${template} template`;

export const rowsName = (limit: number | null): string =>
  limit === null ? "all rows" : `first ${count(limit, "row")}`;

export const modelName = ({ model, model_name }: { model: string; model_name: string | null }): string =>
  model_name ?? model;

const MINUS = "\u2212";

/** With its sign, which is what counts of it. */
export const signed = (value: number, digits: number): string => {
  const written = Math.abs(value).toFixed(digits);
  if (Number(written) === 0) return written;
  return `${value < 0 ? MINUS : "+"}${written}`;
};

/** Log-odds with their interval, of which an end may be open; null where nothing bounds them. */
export function strengthText({ value, low, high }: Record<"value" | "low" | "high", number | null>): string | null {
  if (value === null) return null;
  const end = (bound: number | null): string => (bound === null ? "open" : signed(bound, 2));
  return `${signed(value, 2)} (${end(low)} to ${end(high)})`;
}

/** Null where nobody knows why a response ended. */
export const finished = (reason: string | null): string | null =>
  reason === null ? null : reason === "length" ? "cut at the length limit" : `finished: ${reason}`;
