// The one model that an isolate holds, and whose turn it is.
import type { EdgeArtifact } from "../wire/exports.ts";

/** What is loaded, and can be let go. */
interface Loaded {
  release(): Promise<void>;
}

/** Uses of a model run one after another, each alone; so one load serves all who wait for the same model, and another
 * model is loaded only when nobody runs this one, after it is let go: two never lie in memory together. */
export class Resident<Model extends Loaded> {
  readonly #load: (bucket: R2Bucket, artifact: EdgeArtifact) => Promise<Model>;
  #held: { key: string; model: Model } | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(load: (bucket: R2Bucket, artifact: EdgeArtifact) => Promise<Model>) {
    this.#load = load;
  }

  use<T>(bucket: R2Bucket, artifact: EdgeArtifact, work: (model: Model) => Promise<T>): Promise<T> {
    const mine = this.#last.then(async () => work(await this.#get(bucket, artifact)));
    // Who comes next does not mind how this one ended.
    this.#last = mine.catch(() => null);
    return mine;
  }

  async #get(bucket: R2Bucket, artifact: EdgeArtifact): Promise<Model> {
    const key = keyOf(artifact);
    if (this.#held?.key === key) return this.#held.model;
    const { model: old } = this.#held ?? { model: null };
    this.#held = null;
    await old?.release();
    const model = await this.#load(bucket, artifact);
    this.#held = { key, model };
    return model;
  }
}

/** By content: the same export of two projects is one model. */
const keyOf = ({ files }: EdgeArtifact): string => files.map(({ name, sha256 }) => `${name}:${sha256}`).join();
