// All records of an evaluation as a file.
import { useState } from "preact/hooks";
import { failureOf, save } from "../api.ts";
import type { Failure } from "../api.ts";

const KINDS = ["csv", "jsonl"];

interface ExportProps {
  /** Where the records are; a kind after it asks for the file. */
  path: string;
  name: string;
}

export function Export({ path, name }: ExportProps) {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const start = (kind: string) => {
    setBusy(true);
    setFailure(null);
    save(`${path}.${kind}`, `${name}.${kind}`)
      .catch((error: unknown) => setFailure(failureOf(error)))
      .finally(() => setBusy(false));
  };
  return (
    <div class="export" role="group" aria-label="Save all records">
      <span class="quiet">Save all records:</span>
      {KINDS.map((kind) => (
        <button key={kind} type="button" disabled={busy} onClick={() => start(kind)}>
          {kind.toUpperCase()}
        </button>
      ))}
      {failure !== null && (
        <p class="problem" role="alert">
          {failure.title}. {failure.message}
        </p>
      )}
    </div>
  );
}
