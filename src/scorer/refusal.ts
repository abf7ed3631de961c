// What a caller is told, across RPC as a value: thrown within the scorer, turned into an answer by its entry point.
import type { EdgeRefusalCode } from "./api.ts";

export class Refusal extends Error {
  readonly code: EdgeRefusalCode;

  constructor(code: EdgeRefusalCode, message: string) {
    super(message);
    this.name = "Refusal";
    this.code = code;
  }
}
