/** Tokens that a text is expected to be: four bytes each, at least one. */
export const expectedTokens = (value: unknown): number => 1 + Math.ceil(JSON.stringify(value).length / 4);
