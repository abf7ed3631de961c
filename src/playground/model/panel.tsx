// What is known of an export before it is loaded, and how far it is on its way.
import { useEffect, useState } from "preact/hooks";
import { count } from "../../dashboard/format.ts";
import { Failed } from "../../dashboard/states.tsx";
import type { Export } from "../answers.ts";
import { megabytes, small } from "../format.ts";
import type { Provider } from "../runner/messages.ts";
import { forgetFiles, keptBytes } from "./files.ts";
import { providerName, useGpu } from "./provider.ts";
import type { Gpu } from "./provider.ts";
import type { Stage, Student } from "./use-student.ts";

const Facts = ({ chosen: { bytes, model, difference } }: { chosen: Export }) => (
  <dl class="facts">
    <dt>Size</dt>
    <dd>
      {megabytes(bytes)} for {count(model.parameters, "parameter")} in {count(model.layers, "layer")}
    </dd>
    <dt>Difference</dt>
    <dd>
      {small(difference.mean)} nats a token from PyTorch on average, {small(difference.max)} at the most (measured on{" "}
      {count(difference.tokens, "token")})
    </dd>
  </dl>
);

const came = ({ loaded, total }: { loaded: number; total: number }): string =>
  loaded === 0 ? "all of it kept here from before" : `${megabytes(loaded)} of ${megabytes(total)} from the service`;

function Progress({ stage }: { stage: Stage }) {
  if (stage.name === "loading" || stage.name === "starting") {
    const { done, total } = stage.progress;
    return (
      <div class="loading">
        <label>
          {stage.name === "starting"
            ? `All ${megabytes(total)} are here and verified; starting the student …`
            : `${megabytes(done)} of ${megabytes(total)}, verified file by file …`}
          <progress value={done} max={total} />
        </label>
      </div>
    );
  }
  if (stage.name !== "ready") return null;
  return (
    <p role="status">
      <strong>Ready on {providerName(stage.provider, stage.threads)}</strong>, after {stage.seconds.toFixed(1)} s (
      {came(stage.progress)}). Nothing leaves this browser from here on until you compare.
      {stage.fallback !== null && <span class="quiet"> WebGPU failed: {stage.fallback}</span>}
    </p>
  );
}

/** What lies in this browser, and the way to be rid of it. */
function Kept({ stage }: { stage: Stage }) {
  const [bytes, setBytes] = useState(0);
  const look = (): void => void keptBytes().then(setBytes);
  useEffect(look, [stage.name]);
  if (bytes === 0) return null;
  return (
    <p class="quiet kept">
      {megabytes(bytes)} of exports are kept in this browser for the next visit.{" "}
      <button type="button" onClick={() => void forgetFiles().then(look)}>
        Delete them
      </button>
    </p>
  );
}

const LABELS = { webgpu: "WebGPU", wasm: "wasm" } satisfies Record<Provider, string>;

/** The better one first. */
const offered = ({ missing, software }: Gpu): Provider[] =>
  missing !== null ? ["wasm"] : software ? ["wasm", "webgpu"] : ["webgpu", "wasm"];

function Load({ gpu, student }: { gpu: Gpu; student: Student }) {
  const { stage, load } = student;
  const busy = stage.name === "loading" || stage.name === "starting";
  const again = stage.name === "ready" ? "again " : "";
  return (
    <p class="export">
      {offered(gpu).map((provider, place) => (
        <button
          key={provider}
          type="button"
          class={place === 0 && stage.name !== "ready" ? "primary" : ""}
          disabled={busy}
          onClick={() => load(provider)}
        >
          Load it {again}on {LABELS[provider]}
        </button>
      ))}
      {gpu.missing !== null && <span class="quiet">It runs on wasm, since {gpu.missing}.</span>}
      {gpu.software && <span class="quiet">This browser&apos;s WebGPU is software: wasm is faster.</span>}
    </p>
  );
}

export function StudentPanel({ chosen, student }: { chosen: Export; student: Student }) {
  const gpu = useGpu(chosen.precision);
  const { stage, load } = student;
  return (
    <section aria-label="The student" class="panel">
      <Facts chosen={chosen} />
      {gpu !== null && <Load gpu={gpu} student={student} />}
      <Progress stage={stage} />
      {stage.name === "failed" && <Failed failure={stage.failure} again={() => load("wasm")} />}
      <Kept stage={stage} />
    </section>
  );
}
