// What a benchmark is for: a figure, and what it should be.
export interface Goal {
  what: string;
  /** Null where it could not be measured. */
  value: number | null;
  goal: number;
  met: boolean;
}

/** What nobody knows is not met. */
export const unmeasured = (what: string, goal: number): Goal => ({ what, value: null, goal, met: false });
