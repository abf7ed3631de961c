// The page: which student, its way into this browser, and what is done with it there.
import { useEffect, useState } from "preact/hooks";
import { Failed, Loading } from "../dashboard/states.tsx";
import { useAnswer } from "../dashboard/use-answer.ts";
import { isModels, isRun, isRuns } from "./answers.ts";
import type { Export, Run } from "./answers.ts";
import { Conversation } from "./answer/conversation.tsx";
import { ExportChoice, RunChoice } from "./model/choice.tsx";
import { StudentPanel } from "./model/panel.tsx";
import { stepOf, useExports } from "./model/use-exports.ts";
import { useStudent } from "./model/use-student.ts";
import { currentPlace, keepPlace } from "./place.ts";
import type { Place } from "./place.ts";

const RUNS = "/v1/runs?limit=100";
const MODELS = "/v1/models?limit=100";

function Chosen({ run, chosen }: { run: Run; chosen: Export }) {
  const student = useStudent(chosen);
  // Asked for with the page: once the student is there, nothing is asked for but a comparison.
  const models = useAnswer(MODELS, isModels);
  const teachers = (models.value?.data ?? [])
    .filter(({ status }) => status === "ready")
    .map(({ id, name }) => name ?? id);
  return (
    <>
      <StudentPanel chosen={chosen} student={student} />
      {student.stage.name === "ready" && (
        <Conversation runner={student.stage.runner} run={run} student={chosen.checkpoint} teachers={teachers} />
      )}
    </>
  );
}

const NoCheckpoint = ({ run }: { run: Run }) => (
  <p class="notice">
    {run.name} has no checkpoint yet, of which an export could be made: take steps, or keep its weights as they are by{" "}
    <code>POST /v1/runs/{run.id}/checkpoints</code>.
  </p>
);

const NoExport = ({ run, step }: { run: Run; step: string }) => (
  <div class="notice">
    <p>No checkpoint of {run.name} has been exported yet. A worker makes an export of the newest one by</p>
    <pre class="command">
      {`curl -X POST $UNDERSTUDY_BASE_URL/v1/runs/${run.id}/checkpoints/${step}/exports \\
  -H "Authorization: Bearer $UNDERSTUDY_API_KEY" -H 'Content-Type: application/json' -d '{"precision": "int8"}'`}
    </pre>
  </div>
);

/** The export that the place names, else the nearest to it: of its checkpoint, else the newest. */
function exportAt({ step, precision }: Place, exports: readonly Export[]): Export | null {
  const ofStep = exports.filter(({ checkpoint }) => stepOf(checkpoint) === step);
  const among = ofStep.length > 0 ? ofStep : exports;
  return among.find((one) => one.precision === precision) ?? among[0] ?? null;
}

function OfRun({ run, place, move }: { run: Run; place: Place; move: (place: Place) => void }) {
  const { value, failure, again } = useExports(run.id, place.step);
  if (failure !== null) return <Failed failure={failure} again={again} />;
  if (value === null) return <Loading what="the run's exports" />;
  const { exports, newest } = value;
  const chosen = exportAt(place, exports);
  if (chosen === null) return newest === null ? <NoCheckpoint run={run} /> : <NoExport run={run} step={newest} />;
  const choose = ({ checkpoint, precision }: Export): void =>
    move({ run: run.id, step: stepOf(checkpoint), precision });
  return (
    <>
      <ExportChoice exports={exports} chosen={chosen} choose={choose} />
      <Chosen key={chosen.id} run={run} chosen={chosen} />
    </>
  );
}

function AtRun({ id, place, move }: { id: string; place: Place; move: (place: Place) => void }) {
  const { value: run, failure, again } = useAnswer(`/v1/runs/${encodeURIComponent(id)}`, isRun);
  if (failure !== null) return <Failed failure={failure} again={again} />;
  return run === null ? <Loading what="the run" /> : <OfRun run={run} place={place} move={move} />;
}

function Body() {
  const [place, setPlace] = useState(currentPlace);
  useEffect(() => keepPlace(place), [place]);
  const { value: runs, failure, again } = useAnswer(RUNS, isRuns);
  if (failure !== null) return <Failed failure={failure} again={again} />;
  if (runs === null) return <Loading what="the runs" />;
  const id = place.run ?? runs.data[0]?.id ?? null;
  if (id === null) {
    return (
      <p class="notice">This project has no run yet: a student comes out of one. The reference has POST /v1/runs.</p>
    );
  }
  const choose = (run: string): void => setPlace({ run, step: null, precision: null });
  return (
    <div class="choices">
      <RunChoice runs={runs.data} id={id} choose={choose} />
      <AtRun key={id} id={id} place={place} move={setPlace} />
    </div>
  );
}

export const Playground = () => (
  <>
    <h1>Playground</h1>
    <p class="lead">
      A distilled student runs here, in this browser, and answers. What you write stays in this tab until you press{" "}
      <em>Compare with the teacher</em>, which sends that prompt and response to this service.
    </p>
    {isSecureContext ? (
      <Body />
    ) : (
      <p class="notice failed" role="alert">
        This browser verifies and keeps files on secure pages alone: open this page over https, or on localhost.
      </p>
    )}
  </>
);
