// Figures over repetitions. Pure.

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const low = sorted[Math.floor((sorted.length - 1) / 2)];
  const high = sorted[Math.floor(sorted.length / 2)];
  if (low === undefined || high === undefined) throw new Error("a median needs at least one value");
  return (low + high) / 2;
}

export const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);

/** The largest |a - b| / |b|; infinite where their numbers differ. */
export function relativeDifference(ours: number[], theirs: number[]): number {
  if (ours.length !== theirs.length || ours.length === 0) return Infinity;
  return Math.max(...ours.map((value, i) => Math.abs(value - (theirs[i] ?? NaN)) / Math.abs(theirs[i] ?? NaN)));
}
