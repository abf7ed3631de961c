// What is seen of a token's text: also where it is white space, or no character by itself.

const PICTURES = 0x2400;

function picture(control: string): string {
  if (control === "\n") return "↵";
  const code = control.charCodeAt(0);
  return code < 0x20 ? String.fromCharCode(PICTURES + code) : "◦";
}

export function visible(text: string): string {
  if (text === "") return "◦";
  return text.replace(/\p{Cc}/gu, picture).replace(/^ +| +$/g, (spaces) => "␣".repeat(spaces.length));
}
