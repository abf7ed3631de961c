// What a caller is told: thrown here, and turned into an answer by whoever runs a student.
export type RefusalCode = "too_large" | "prompt_too_long" | "invalid_request";

export class Refusal extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.name = "Refusal";
    this.code = code;
  }
}
