// What a benchmark is for: a figure, and what it should be.
export interface Goal {
  what: string;
  value: number;
  goal: number;
  met: boolean;
}
