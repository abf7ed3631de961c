// The queue and the workers in memory, as the scheduler sees them: the first job of each line, and each worker's seat. Read from
// the tables bit by bit, and again where something has changed, so that no turn depends on how many there are.
import { onLost } from "./frames/presence.ts";
import { isolate } from "./isolate.ts";
import { leaseCost, needsOf, seatOf } from "./queue.ts";
import type { Candidate, Round, Seat } from "./schedule.ts";
import type { Turn } from "./turn.ts";

/** Lines and workers that are found by name at once. */
const FOUND_AT_ONCE = 20;

export interface Head extends Candidate {
  /** Its place in the queue. */
  ready: number;
}

export class Overview {
  readonly #heads = new Map<string, Head>();
  /** The line of each first job. */
  readonly #lines = new Map<string, string>();
  readonly #seats = new Map<string, Seat>();
  /** Up to where lines and boots have been found, by name; null: all of them. */
  #lineFound: string | null = "";
  #bootFound: string | null = "";
  /** Begins anew with the object: who waits longest is served first then. */
  round: Round = { deficits: {}, turn: null };
  /** When a schedule may come out otherwise though nothing changes; as `due` has it. */
  wakeAt: number | null = null;

  /** Nothing is known any more: what was read may have been rolled back. */
  forget(): void {
    this.#heads.clear();
    this.#lines.clear();
    this.#seats.clear();
    this.#lineFound = "";
    this.#bootFound = "";
  }

  /** The queue: the first job of each line, longest ready first. */
  get queue(): Head[] {
    return [...this.#heads.values()].sort((a, b) => a.ready - b.ready);
  }

  get seats(): Seat[] {
    return [...this.#seats.values()];
  }

  /** The same, with what has changed since the last pass, as far as a turn goes. */
  seatsNow(turn: Turn): Seat[] {
    this.#refreshSeats(turn);
    return this.seats;
  }

  /** Whether the pool's own worker is wanted. */
  get edgeWaits(): boolean {
    return [...this.#heads.values()].some(({ kind }) => kind === "generate_edge");
  }

  /** Every worker is known as it is: only then may a job be placed. */
  get seated(): boolean {
    return this.#bootFound === null;
  }

  /** Reads what has changed, as far as one turn goes. Whether that was all, and all was well. */
  refresh(turn: Turn): boolean {
    const { stale } = turn.tables;
    this.#find(turn);
    for (const id of stale.jobs) {
      const line = this.#lines.get(id);
      if (line !== undefined) stale.lines.add(line);
    }
    stale.jobs.clear();
    if (!this.#refreshSeats(turn)) return false;
    let well = true;
    for (const line of stale.lines) {
      if (turn.tables.meter.half) return false;
      stale.lines.delete(line);
      well = this.#read(turn, line) && well;
    }
    return well && this.#lineFound === null && this.#bootFound === null && stale.boots.size + stale.lines.size === 0;
  }

  /** Whether that was all. */
  #refreshSeats(turn: Turn): boolean {
    const { stale, meter } = turn.tables;
    for (const boot of stale.boots) {
      if (meter.half) return false;
      stale.boots.delete(boot);
      this.#seat(turn, boot);
    }
    return true;
  }

  #find(turn: Turn): void {
    const { jobs, workers, stale } = turn.tables;
    if (this.#bootFound !== null && stale.boots.size === 0) {
      const found = workers.connectedAfter(this.#bootFound, FOUND_AT_ONCE);
      for (const { boot } of found) stale.boot(boot);
      this.#bootFound = found.length < FOUND_AT_ONCE ? null : (found.at(-1)?.boot ?? null);
    }
    if (this.#lineFound !== null && stale.lines.size === 0) {
      const found = jobs.linesAfter(this.#lineFound, FOUND_AT_ONCE);
      for (const line of found) stale.line(line);
      this.#lineFound = found.length < FOUND_AT_ONCE ? null : (found.at(-1) ?? null);
    }
  }

  #seat(turn: Turn, boot: string): void {
    this.#seats.delete(boot);
    const worker = turn.tables.workers.get(boot);
    const socket = worker?.socket ?? null;
    if (worker === null || socket === null) return;
    if (!turn.isOpen(socket)) onLost(turn, boot);
    else if (!worker.draining && !worker.silent) this.#seats.set(boot, seatOf(turn, worker));
  }

  /** Whether the line's first job could be read; one that cannot has failed alone. */
  #read(turn: Turn, line: string): boolean {
    const known = this.#heads.get(line);
    if (known !== undefined) this.#lines.delete(known.job);
    this.#heads.delete(line);
    const job = turn.tables.jobs.head(line);
    if (job === null || (job.run !== null && turn.tables.leases.ofOwner(job.run) !== null)) return true;
    return isolate(turn, job.id, () => {
      this.#heads.set(line, { ...needsOf(turn, job), cost: leaseCost(turn, job), ready: job.ready });
      this.#lines.set(job.id, line);
    });
  }

  /** What a schedule was told of a run in passing. */
  note(line: string, changes: Pick<Head, "run">): void {
    const head = this.#heads.get(line);
    if (head !== undefined) this.#heads.set(line, { ...head, ...changes });
  }
}
