// The page's end of the worker: one order at a time, each with its result.
import { Failure } from "../../dashboard/api.ts";
import type { Is } from "../../dashboard/guards.ts";
import { isAnswered, isLoaded, isRefused, isScored, isStreamed } from "./messages.ts";
import type { AnswerOrder, Answered, LoadOrder, Loaded, Order, ScoreOrder, Scored, Token, Work } from "./messages.ts";

type Follow = (token: Token) => void;

interface Pending {
  take: (message: unknown) => void;
  fail: (failure: Failure) => void;
}

const nobody: Follow = () => undefined;

const broken = (why: string): Failure =>
  new Failure(
    "The student has stopped",
    `${why} Load it again; in a browser with little memory take a smaller precision.`,
  );

/** A student in a worker of its own: ending it gives all of its memory back. */
export class Runner {
  readonly #worker = new Worker("/assets/playground/worker.js", { type: "module", name: "student" });
  #pending: Pending | null = null;

  constructor() {
    this.#worker.addEventListener("message", ({ data }: MessageEvent<unknown>) => this.#pending?.take(data));
    this.#worker.addEventListener("error", (event) => {
      // Of a script that did not load there is no message.
      this.#pending?.fail(broken(event instanceof ErrorEvent ? `${event.message}.` : "Its worker did not start."));
    });
  }

  load(order: Omit<LoadOrder, "type">): Promise<Loaded> {
    const bytes = order.files.map((file) => file.bytes);
    return this.#ask({ type: "load", ...order }, isLoaded, nobody, bytes);
  }

  /** `follow` is given each token as it comes. */
  answer(order: Omit<AnswerOrder, "type">, follow: Follow): Promise<Answered> {
    return this.#ask({ type: "answer", ...order }, isAnswered, follow);
  }

  score(order: Omit<ScoreOrder, "type">): Promise<Scored> {
    return this.#ask({ type: "score", ...order }, isScored, nobody);
  }

  stop(): void {
    this.#send({ type: "stop" });
  }

  end(): void {
    this.#worker.terminate();
  }

  #send(order: Order, transfer: Transferable[] = []): void {
    this.#worker.postMessage(order, transfer);
  }

  #ask<T>(order: Work, is: Is<T>, follow: Follow, transfer: Transferable[] = []): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const take = (message: unknown): void => {
        if (isStreamed(message)) follow(message.token);
        else if (is(message)) resolve(message);
        else if (isRefused(message)) reject(new Failure("The student cannot do this here", sentence(message.message)));
      };
      this.#pending = { take, fail: reject };
      this.#send(order, transfer);
    });
  }
}

const sentence = (text: string): string =>
  `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
