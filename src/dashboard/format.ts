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
