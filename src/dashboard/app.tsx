// Which view is shown: the form without a key, else what the address says.
import { useEffect, useRef } from "preact/hooks";
import { BoardView } from "./board/view.tsx";
import { useSession } from "./key.ts";
import { KeyForm } from "./key-form.tsx";
import { PreferenceView } from "./preferences/view.tsx";
import { EvaluationView } from "./records/view.tsx";
import { useRoute } from "./route.ts";
import type { Route } from "./route.ts";

/** After a step to another view, a reader at the keyboard or with a screen reader begins at its top. */
function useFocusOnStep(view: string): void {
  const last = useRef(view);
  useEffect(() => {
    if (last.current === view) return;
    last.current = view;
    scrollTo(0, 0);
    const main = document.getElementById("main");
    // Unless the new view has put it somewhere better.
    if (main?.contains(document.activeElement) === false) main.focus({ preventScroll: true });
  }, [view]);
}

function View({ route }: { route: Route }) {
  if (route.view === "evaluations" && route.id !== null) {
    return <EvaluationView key={route.id} id={route.id} query={route.query} />;
  }
  if (route.view === "preference-evaluations" && route.id !== null) {
    return <PreferenceView key={route.id} id={route.id} query={route.query} />;
  }
  return <BoardView route={route} />;
}

export function App() {
  const { key, refusal } = useSession();
  const route = useRoute();
  useFocusOnStep(key === null ? "key" : route.view);
  if (key !== null) return <View route={route} />;
  return (
    <KeyForm
      title="Which student is better, and is the difference real?"
      action="Open the leaderboard"
      refusal={refusal}
    >
      This page shows a project's leaderboard: models ranked on the same questions, with 95% intervals, and every
      response that was graded. It needs an API key that may read.
    </KeyForm>
  );
}
