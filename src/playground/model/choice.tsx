// Which run, which of its exported checkpoints, in which precision.
import { Choice } from "../../dashboard/choice.tsx";
import { megabytes } from "../format.ts";
import type { Export, Run } from "../answers.ts";
import { stepOf } from "./use-exports.ts";

interface Runs {
  runs: readonly Run[];
  id: string;
  choose: (id: string) => void;
}

export function RunChoice({ runs, id, choose }: Runs) {
  const options = runs.map((run) => ({ value: run.id, label: `${run.name} (step ${run.head})` }));
  // An address may name one that is not among the newest.
  const listed = options.some(({ value }) => value === id);
  return (
    <form class="controls" onSubmit={(event) => event.preventDefault()}>
      <Choice
        label="Run"
        value={id}
        options={listed ? options : [{ value: id, label: id }, ...options]}
        choose={choose}
      />
    </form>
  );
}

interface Exports {
  exports: readonly Export[];
  chosen: Export;
  choose: (chosen: Export) => void;
}

export function ExportChoice({ exports, chosen, choose }: Exports) {
  const ofCheckpoint = exports.filter(({ checkpoint }) => checkpoint === chosen.checkpoint);
  const checkpoints = [...new Set(exports.map(({ checkpoint }) => checkpoint))];
  const take = (found: Export | undefined): void => {
    if (found !== undefined) choose(found);
  };
  return (
    <form class="controls" onSubmit={(event) => event.preventDefault()}>
      <Choice
        label="Checkpoint"
        value={chosen.checkpoint}
        options={checkpoints.map((value) => ({ value, label: `step ${stepOf(value)}` }))}
        choose={(value) => take(exports.find(({ checkpoint }) => checkpoint === value))}
      />
      <Choice
        label="Precision"
        value={chosen.precision}
        options={ofCheckpoint.map(({ precision, bytes }) => ({
          value: precision,
          label: `${precision}, ${megabytes(bytes)}`,
        }))}
        choose={(value) => take(ofCheckpoint.find(({ precision }) => precision === value))}
      />
    </form>
  );
}
