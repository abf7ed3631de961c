// What an answer says about itself in words.

/** Said with every length-normalised answer. */
export const LENGTH_NOTE =
  "length_normalize compares mean log-probabilities: a heuristic, since Z(x) no longer cancels between responses.";

/** Those that there are, as one text. */
export const notes = (...texts: (string | null)[]): string | null =>
  texts.filter((text) => text !== null).join(" ") || null;
