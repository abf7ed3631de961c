// Figures over repetitions. Pure.

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const low = sorted[Math.floor((sorted.length - 1) / 2)];
  const high = sorted[Math.floor(sorted.length / 2)];
  if (low === undefined || high === undefined) throw new Error("a median needs at least one value");
  return (low + high) / 2;
}

/** By linear interpolation between the two nearest of the sorted values. */
export function quantile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const low = sorted[Math.floor(place)];
  const high = sorted[Math.ceil(place)];
  if (low === undefined || high === undefined) throw new Error("a quantile needs at least one value");
  return low + (high - low) * (place % 1);
}

export const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);

/** The largest |a - b| / |b|; infinite where their numbers differ. */
export function relativeDifference(ours: number[], theirs: number[]): number {
  if (ours.length !== theirs.length || ours.length === 0) return Infinity;
  return Math.max(...ours.map((value, i) => Math.abs(value - (theirs[i] ?? NaN)) / Math.abs(theirs[i] ?? NaN)));
}
