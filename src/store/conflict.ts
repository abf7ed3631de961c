// Telling a taken name from every other failure of D1.

/** Whether a UNIQUE constraint refused the write; drizzle and D1 each wrap SQLite's error in their own. */
export function isUniqueViolation(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.message.includes("UNIQUE constraint failed") || isUniqueViolation(error.cause);
}
