// A board of preferences: of accuracy, or of closeness to one teacher.
import type { PreferenceBoard } from "../answers/boards.ts";
import { isPreferenceLeaderboard } from "../answers/preferences.ts";
import type { PreferenceEntry } from "../answers/preferences.ts";
import { address } from "../api.ts";
import { modelName } from "../format.ts";
import { preferencePlace } from "../route.ts";
import { Failed, Loading } from "../states.tsx";
import { useAnswer } from "../use-answer.ts";
import { ACCURACY_TERMS, CLOSENESS_TERMS, Help } from "./help.tsx";
import { boardName, kindName, preferenceTermsOf, teacherName } from "./place.ts";
import { Ranking } from "./ranking.tsx";
import type { Labels, Ranked } from "./ranking.tsx";

const ACCURACY: Labels = {
  one: "entry",
  many: "entries",
  name: "Student",
  mean: "Accuracy",
  items: "Pairs",
  neutral: 50,
  hasStrength: false,
};

const CLOSENESS: Labels = {
  one: "student",
  many: "students",
  name: "Student",
  mean: "Preferred",
  items: "Prompts",
  neutral: 50,
  hasStrength: true,
};

/** On a board of closeness all have one teacher and beta, which the board's name says. */
const detailsOf = (entry: PreferenceEntry, { kind }: PreferenceBoard): string | null =>
  kind === "accuracy" ? `against ${teacherName(entry)}, beta ${entry.beta}` : null;

const rankedOf = (entry: PreferenceEntry, board: PreferenceBoard): Ranked => ({
  ...entry,
  name: modelName({ model: entry.student, model_name: entry.student_name }),
  details: detailsOf(entry, board),
  selected: entry.selected_on_this_split,
  place: preferencePlace(entry.evaluation, {}),
});

const About = ({ board }: { board: PreferenceBoard }) =>
  board.kind === "accuracy" ? (
    <p class="notice">
      <strong>Preference accuracy, not the quality of what a student writes:</strong> the share of the data set's pairs
      in which the implicit reward between student and teacher puts chosen above rejected. At 50 it tells nothing.
    </p>
  ) : (
    <p class="notice">
      <strong>Closeness to {teacherName(board)}, not quality:</strong> how probably the student's own output is
      preferred to that teacher's, by the implicit reward between the two. A student that writes as its teacher does is
      at 50, and the nearest to 50 comes first.
    </p>
  );

interface Shown {
  board: PreferenceBoard;
  search: string;
}

function Table({ board, search }: Shown) {
  const url = address("/v1/preference-leaderboard", { dataset: board.dataset, ...preferenceTermsOf(board) });
  const { value, failure, loading, again } = useAnswer(url, isPreferenceLeaderboard);
  if (failure !== null) return <Failed failure={failure} again={again} />;
  if (value === null) return <Loading what="the leaderboard" />;
  if (value.data.length === 0) return <p class="notice">Nothing stands on this board any more: choose another.</p>;
  const isAccuracy = board.kind === "accuracy";
  return (
    <div aria-busy={loading}>
      <Ranking
        entries={value.data.map((entry) => rankedOf(entry, board))}
        labels={isAccuracy ? ACCURACY : CLOSENESS}
        title={`${kindName(board)}: ${boardName(board)}`}
        search={search}
      />
      <Help leaderboard={value} terms={isAccuracy ? ACCURACY_TERMS : CLOSENESS_TERMS} />
    </div>
  );
}

export const PreferenceRanking = (shown: Shown) => (
  <>
    <About board={shown.board} />
    <Table {...shown} />
  </>
);
