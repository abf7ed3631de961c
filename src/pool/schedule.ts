// Who gets which job: a pure function of the queue, the workers and the clock.
// Between projects: deficit round-robin by token cost. Within one: the job that has been ready longest.
import { AFFINITY_WAIT_MS, QUEUE_QUANTUM } from "../config.ts";
import { REQUEST_KINDS } from "../wire/payloads.ts";
import type { JobKind } from "../wire/payloads.ts";
import type { Lane } from "./tables/leases.ts";

export const laneOf = (kind: JobKind): Lane =>
  REQUEST_KINDS.some((request) => request === kind) ? "requests" : "long";

export interface Candidate {
  job: string;
  project: string;
  kind: JobKind;
  /** Names that the worker's command line must declare. */
  localModels: readonly string[];
  /** Ids of the models that it loads. */
  models: readonly string[];
  /** Expected tokens of one lease. */
  cost: number;
  readyAt: number;
  /** The boot that it last came to grief on: taken again only if there is no other. */
  failedOn: string | null;
  /** Boots that are shut out of it, or refused it. */
  banned: readonly string[];
  /** The oldest protocol in which it can be said. */
  protocol: number;
  run: CandidateRun | null;
}

export interface CandidateRun {
  id: string;
  lineage: number;
  head: number;
  headHash: string | null;
  /** What the lineage is bit-exact within; null before its first step. */
  fingerprint: string | null;
  /** The engine number of that fingerprint. */
  engine: number;
  /** The boot that has the current fence. */
  holder: string | null;
  /** Since when no worker of its fingerprint is there, null while one is. */
  waitingSince: number | null;
}

export interface Seat {
  boot: string;
  /** Empty: shared by all projects. */
  project: string;
  kinds: readonly JobKind[];
  models: readonly string[];
  fingerprint: string;
  engine: number;
  protocol: number;
  free: Record<Lane, number>;
  /** Ids of models that it probably has in memory. */
  loaded: readonly string[];
  /** Runs that it said it holds. */
  runs: readonly { run: string; lineage: number; head: number; hash: string | null }[];
}

/** The state of the round-robin: tokens that each waiting project may still spend, and whose turn it is. */
export interface Round {
  deficits: Readonly<Record<string, number>>;
  turn: string | null;
}

export interface Grant {
  job: string;
  boot: string;
  /** Whether a worker of another fingerprint takes the run over, opening a new lineage. */
  newLineage: boolean;
}

export interface Schedule {
  grants: Grant[];
  round: Round;
  /** When waiting runs may be placed though nothing else changes. */
  wakeAt: number | null;
}

/** Whether the worker could take the job at some time. */
export function eligible(candidate: Omit<Candidate, "run" | "cost">, seat: Seat): boolean {
  return (
    seat.kinds.includes(candidate.kind) &&
    seat.protocol >= candidate.protocol &&
    (seat.project === "" || seat.project === candidate.project) &&
    candidate.localModels.every((name) => seat.models.includes(name)) &&
    !candidate.banned.includes(seat.boot)
  );
}

/** Workers that could take the job; for a run with steps, those of its own fingerprint. */
export function ownSeats(candidate: Omit<Candidate, "cost">, seats: readonly Seat[]): Seat[] {
  const fingerprint = candidate.run?.fingerprint ?? null;
  return seats.filter(
    (seat) => eligible(candidate, seat) && (fingerprint === null || seat.fingerprint === fingerprint),
  );
}

type Placement = { seat: Seat; newLineage: boolean } | { wakeAt: number | null };

/** Where the job may go now, or when to look again. */
export function place(
  candidate: Candidate,
  seats: readonly Seat[],
  clock: { now: number; fingerprintWaitMs: number },
): Placement {
  const own = ownSeats(candidate, seats);
  const { run } = candidate;
  const fingerprint = run?.fingerprint ?? null;
  if (run === null || fingerprint === null) return best(candidate, own);
  if (own.length === 0) return takeOver(candidate, run, seats, clock);
  const holder = own.find((seat) => holds(seat, run));
  if (holder === undefined) return best(candidate, own);
  if (free(holder, candidate) > 0) return { seat: holder, newLineage: false };
  const moveAt = candidate.readyAt + AFFINITY_WAIT_MS;
  return clock.now >= moveAt ? best(candidate, own) : { wakeAt: moveAt };
}

function holds(seat: Seat, run: CandidateRun): boolean {
  if (run.holder !== null) return run.holder === seat.boot;
  return seat.runs.some(
    (held) =>
      held.run === run.id && held.lineage === run.lineage && held.head === run.head && held.hash === run.headHash,
  );
}

function takeOver(
  candidate: Candidate,
  run: CandidateRun,
  seats: readonly Seat[],
  clock: { now: number; fingerprintWaitMs: number },
): Placement {
  const others = seats.filter((seat) => eligible(candidate, seat));
  // After an upgrade nobody of the run's own engine will come: there is nothing to wait for.
  const upgraded = others.some((seat) => seat.engine > run.engine);
  const moveAt = (run.waitingSince ?? clock.now) + clock.fingerprintWaitMs;
  if (!upgraded && clock.now < moveAt) return { wakeAt: moveAt };
  const placed = best(candidate, others);
  return "seat" in placed ? { ...placed, newLineage: true } : placed;
}

const free = (seat: Seat, candidate: Candidate): number => seat.free[laneOf(candidate.kind)];

/** Of the free workers, one that it did not fail on; the one with most of the models in memory; then with most room. */
function best(candidate: Candidate, seats: readonly Seat[]): Placement {
  const open = seats.filter((seat) => free(seat, candidate) > 0);
  const loaded = (seat: Seat): number => candidate.models.filter((model) => seat.loaded.includes(model)).length;
  const failed = (seat: Seat): number => (seat.boot === candidate.failedOn ? 1 : 0);
  const [seat] = open.sort(
    (a, b) => failed(a) - failed(b) || loaded(b) - loaded(a) || free(b, candidate) - free(a, candidate),
  );
  return seat === undefined ? { wakeAt: null } : { seat, newLineage: false };
}

/** `queue` is in order of readiness, one job of a run at the most. `most`: jobs that are placed. */
export function schedule(
  queue: readonly Candidate[],
  workers: readonly Seat[],
  round: Round,
  { most = Infinity, ...clock }: { now: number; fingerprintWaitMs: number; most?: number },
): Schedule {
  const seats = workers.map((seat) => ({ ...seat, free: { ...seat.free } }));
  const waiting = new Set(queue.map((candidate) => candidate.project));
  let state: Round = { deficits: only(round.deficits, waiting), turn: round.turn };
  let open = [...queue];
  const grants: Grant[] = [];
  let wakeAt: number | null = null;
  while (open.length > 0 && grants.length < most) {
    const firsts = new Map<string, { candidate: Candidate; seat: Seat; newLineage: boolean }>();
    for (const candidate of open) {
      if (firsts.has(candidate.project)) continue;
      const placed = place(candidate, seats, clock);
      if ("seat" in placed) firsts.set(candidate.project, { candidate, ...placed });
      else if (placed.wakeAt !== null) wakeAt = Math.min(wakeAt ?? Infinity, placed.wakeAt);
    }
    const costs = new Map([...firsts].map(([project, first]) => [project, Math.max(1, first.candidate.cost)]));
    const next = nextTurn(state, costs);
    const first = next === null ? undefined : firsts.get(next.project);
    if (next === null || first === undefined) break;
    state = next.round;
    grants.push({ job: first.candidate.job, boot: first.seat.boot, newLineage: first.newLineage });
    first.seat.free[laneOf(first.candidate.kind)] -= 1;
    open = open.filter((candidate) => candidate !== first.candidate);
  }
  return { grants, round: state, wakeAt };
}

/** Deficit round-robin: whose job is next, given what each project's next job costs. Rounds in which nobody can pay
 * are skipped at once. */
export function nextTurn(round: Round, costs: ReadonlyMap<string, number>): { project: string; round: Round } | null {
  const order = fromTurn([...costs.keys()].sort(), round.turn);
  const short = (project: string): number => (costs.get(project) ?? 0) - (round.deficits[project] ?? 0);
  const rounds = (project: string): number => Math.max(0, Math.ceil(short(project) / QUEUE_QUANTUM));
  const [project] = [...order].sort((a, b) => rounds(a) - rounds(b));
  if (project === undefined) return null;
  const earned = rounds(project) * QUEUE_QUANTUM;
  const deficits: Record<string, number> = { ...round.deficits };
  for (const other of order) deficits[other] = (deficits[other] ?? 0) + earned;
  deficits[project] = (deficits[project] ?? 0) - (costs.get(project) ?? 0);
  return { project, round: { deficits, turn: project } };
}

/** The order of service: after the project served last. */
function fromTurn(projects: string[], turn: string | null): string[] {
  const start = turn === null ? 0 : projects.findIndex((project) => project > turn);
  return start <= 0 ? projects : [...projects.slice(start), ...projects.slice(0, start)];
}

function only(deficits: Readonly<Record<string, number>>, projects: ReadonlySet<string>): Record<string, number> {
  return Object.fromEntries(Object.entries(deficits).filter(([project]) => projects.has(project)));
}
