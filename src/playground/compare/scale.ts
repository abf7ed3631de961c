// The scale of colours: fixed, so that two responses can be compared by eye.

/** Nats by which student and teacher differ on a token, where a deeper colour begins. */
export const BOUNDS = [0.1, 0.5, 1, 2] as const;

export const STEPS = [-4, -3, -2, -1, 0, 1, 2, 3, 4] as const;

/** From -4, where the teacher finds the token much likelier, to 4, where the student does. */
export function stepOf({ student, teacher }: { student: number; teacher: number }): number {
  const difference = student - teacher;
  const depth = BOUNDS.filter((bound) => Math.abs(difference) >= bound).length;
  return difference < 0 ? 0 - depth : depth;
}
