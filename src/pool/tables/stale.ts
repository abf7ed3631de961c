// What the queue and the workers, as the scheduler knows them in memory, must be read again of.
export class Stale {
  readonly lines = new Set<string>();
  readonly boots = new Set<string>();
  /** Jobs that changed: only where one is the first of its line does it matter. */
  readonly jobs = new Set<string>();

  line(line: string): void {
    this.lines.add(line);
  }

  boot(boot: string): void {
    this.boots.add(boot);
  }

  job(id: string): void {
    this.jobs.add(id);
  }
}
