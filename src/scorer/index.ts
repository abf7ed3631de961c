// The scorer: small students, with no GPU, in an isolate of their own.
import { WorkerEntrypoint } from "cloudflare:workers";
import type { EdgeAnswer, EdgeGenerated, GenerateAsk, ScoreAsk, ScorerApi } from "./api.ts";
import { Refusal } from "../student/refusal.ts";
import type { Student } from "../student/student.ts";
import type { EdgeArtifact } from "../wire/exports.ts";
import type { ResponseLogprobs } from "../wire/payloads.ts";
import { checkAnswers, checkScores } from "./budget.ts";
import { loadStudent } from "./load.ts";
import { Resident } from "./resident.ts";

interface ScorerEnv {
  BLOBS: R2Bucket;
}

const resident = new Resident(loadStudent);

export class Scorer extends WorkerEntrypoint<ScorerEnv> implements ScorerApi {
  score(ask: ScoreAsk): Promise<EdgeAnswer<ResponseLogprobs[][]>> {
    return this.#answer(ask.artifact, async (student) => {
      const groups = student.groups(ask);
      checkScores(ask.artifact, groups);
      const scored: ResponseLogprobs[][] = [];
      for (const group of groups) scored.push(await student.score(group));
      return scored;
    });
  }

  generate(ask: GenerateAsk): Promise<EdgeAnswer<EdgeGenerated[]>> {
    return this.#answer(ask.artifact, async (student) => {
      const prompts = ask.prompts.map((prompt) => student.prompt(prompt, ask.template));
      checkAnswers(ask.artifact, prompts, ask.maxNewTokens);
      const generated: EdgeGenerated[] = [];
      for (const prompt of prompts) generated.push(await student.answer(prompt, ask));
      return generated;
    });
  }

  /** The one place where every error is caught: across RPC it would lose its class. */
  async #answer<T>(artifact: EdgeArtifact, work: (student: Student) => Promise<T>): Promise<EdgeAnswer<T>> {
    try {
      const working = resident.use(this.env.BLOBS, artifact, work);
      // Others wait for it, so it ends even when its own caller has left.
      this.ctx.waitUntil(working.catch(() => null));
      return { ok: true, value: await working };
    } catch (error) {
      if (error instanceof Refusal) return { ok: false, code: error.code, message: error.message };
      const { weights_digest, precision } = artifact.model;
      console.error(JSON.stringify({ event: "scorer_failed", weights_digest, precision, error: String(error) }));
      return { ok: false, code: "internal", message: "the model could not be run at the edge" };
    }
  }
}

// Nothing is served but the binding above.
export default Scorer;
