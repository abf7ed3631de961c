// The form without a key, else the playground.
import { KeyForm } from "../dashboard/key-form.tsx";
import { useSession } from "../dashboard/key.ts";
import { Playground } from "./playground.tsx";

export function App() {
  const { key, refusal } = useSession();
  if (key !== null) return <Playground />;
  return (
    <KeyForm title="Run a student in your own browser" action="Open the playground" refusal={refusal}>
      A distilled student that was exported for the edge is loaded into this browser and answers here. It needs an API
      key that may read; to compare an answer with the teacher's view of it, one that may write.
    </KeyForm>
  );
}
