/** Something of a digest's form that says what it stands for. */
export const hash = (label: string): string => {
  const hexadecimal = Array.from(label, (c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("");
  return hexadecimal.padStart(64, "0").slice(-64);
};
