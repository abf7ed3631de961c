// The tables of the Durable Object as version 0.1.0 made them. Frozen: what came later is in versions.ts.
export const FIRST_SCHEMA = [
  `CREATE TABLE IF NOT EXISTS jobs (
     id TEXT PRIMARY KEY, project TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL, digest TEXT NOT NULL,
     subject TEXT, retry_of TEXT, run TEXT, evaluation TEXT, target INTEGER, checkpoint INTEGER NOT NULL,
     local_models TEXT NOT NULL, models TEXT NOT NULL, cost REAL NOT NULL, created_at INTEGER NOT NULL,
     ready INTEGER NOT NULL, ready_at INTEGER NOT NULL, not_before INTEGER NOT NULL, attempts INTEGER NOT NULL,
     tries INTEGER NOT NULL, deaths INTEGER NOT NULL, last_error TEXT, failed_on TEXT, phase TEXT, done INTEGER NOT NULL,
     total INTEGER NOT NULL, error TEXT)`,
  `CREATE INDEX IF NOT EXISTS jobs_queue ON jobs (status, project, ready)`,
  `CREATE INDEX IF NOT EXISTS jobs_run ON jobs (run, target) WHERE run IS NOT NULL`,
  `CREATE TABLE IF NOT EXISTS bodies (
     job TEXT PRIMARY KEY, request TEXT, payload TEXT, payload_blob TEXT, output TEXT, artifact TEXT)`,
  `CREATE TABLE IF NOT EXISTS deltas (
     job TEXT NOT NULL, place INTEGER NOT NULL, pieces TEXT NOT NULL, PRIMARY KEY (job, place)) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS leases (
     job TEXT PRIMARY KEY, owner TEXT NOT NULL UNIQUE, boot TEXT NOT NULL, fence INTEGER NOT NULL,
     attempt INTEGER NOT NULL, "from" INTEGER NOT NULL, "to" INTEGER NOT NULL, until INTEGER NOT NULL,
     tick INTEGER NOT NULL, tick_at INTEGER NOT NULL, deadline_ms INTEGER NOT NULL, closed INTEGER NOT NULL)`,
  `CREATE INDEX IF NOT EXISTS leases_boot ON leases (boot)`,
  `CREATE TABLE IF NOT EXISTS fences (owner TEXT PRIMARY KEY, fence INTEGER NOT NULL, holder TEXT)`,
  `CREATE INDEX IF NOT EXISTS fences_holder ON fences (holder) WHERE holder IS NOT NULL`,
  `CREATE TABLE IF NOT EXISTS runs (
     id TEXT PRIMARY KEY, project TEXT NOT NULL, digest TEXT NOT NULL, request TEXT NOT NULL, spec TEXT NOT NULL,
     created_at INTEGER NOT NULL, status TEXT NOT NULL, head INTEGER NOT NULL, head_hash TEXT, target INTEGER NOT NULL,
     lineage INTEGER NOT NULL, fingerprint TEXT, state_sha256 TEXT, "rows" TEXT, plan TEXT NOT NULL,
     breaks TEXT NOT NULL, error TEXT, waiting_since INTEGER, sequence INTEGER NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS steps (
     run TEXT NOT NULL, lineage INTEGER NOT NULL, n INTEGER NOT NULL, prev TEXT NOT NULL, hash TEXT NOT NULL,
     superseded INTEGER NOT NULL, committed_at INTEGER NOT NULL, metrics TEXT NOT NULL,
     PRIMARY KEY (run, lineage, n)) WITHOUT ROWID`,
  `CREATE UNIQUE INDEX IF NOT EXISTS steps_chain ON steps (run, n) WHERE superseded = 0`,
  `CREATE TABLE IF NOT EXISTS states (
     run TEXT NOT NULL, kind TEXT NOT NULL, lineage INTEGER NOT NULL, step INTEGER NOT NULL,
     superseded INTEGER NOT NULL, created_at INTEGER NOT NULL, state TEXT NOT NULL,
     PRIMARY KEY (run, kind, lineage, step)) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS samples (
     run TEXT NOT NULL, lineage INTEGER NOT NULL, source TEXT NOT NULL, n INTEGER NOT NULL, blob TEXT NOT NULL,
     superseded INTEGER NOT NULL, PRIMARY KEY (run, lineage, source, n)) WITHOUT ROWID`,
  `CREATE UNIQUE INDEX IF NOT EXISTS samples_valid ON samples (run, source, n) WHERE superseded = 0`,
  `CREATE TABLE IF NOT EXISTS candidates (
     run TEXT NOT NULL, lineage INTEGER NOT NULL, step INTEGER NOT NULL, value REAL NOT NULL, evaluation TEXT NOT NULL,
     PRIMARY KEY (run, lineage, step)) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS pointers (
     key TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (key, owner)) WITHOUT ROWID`,
  `CREATE INDEX IF NOT EXISTS pointers_owner ON pointers (owner)`,
  `CREATE TABLE IF NOT EXISTS garbage (name TEXT PRIMARY KEY, prefix INTEGER NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS shutouts (
     run TEXT NOT NULL, boot TEXT NOT NULL, fingerprint TEXT NOT NULL, lineage INTEGER NOT NULL, n INTEGER NOT NULL,
     PRIMARY KEY (run, boot, lineage)) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS refusals (
     job TEXT NOT NULL, boot TEXT NOT NULL, PRIMARY KEY (job, boot)) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS events (
     run TEXT NOT NULL, sequence INTEGER NOT NULL, event TEXT NOT NULL, PRIMARY KEY (run, sequence)) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS evaluations (
     id TEXT PRIMARY KEY, project TEXT NOT NULL, digest TEXT NOT NULL, identity TEXT, body TEXT NOT NULL,
     payload TEXT NOT NULL, created_at INTEGER NOT NULL)`,
  `CREATE INDEX IF NOT EXISTS evaluations_identity ON evaluations (project, identity) WHERE identity IS NOT NULL`,
  `CREATE TABLE IF NOT EXISTS batches (
     evaluation TEXT NOT NULL, batch INTEGER NOT NULL, items TEXT NOT NULL, bytes INTEGER NOT NULL,
     committed INTEGER NOT NULL, PRIMARY KEY (evaluation, batch)) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS workers (
     boot TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, "key" TEXT NOT NULL, project TEXT NOT NULL, name TEXT NOT NULL,
     capabilities TEXT NOT NULL, fingerprint TEXT NOT NULL, slots INTEGER NOT NULL, requests INTEGER NOT NULL,
     runs TEXT NOT NULL, loaded TEXT NOT NULL, socket TEXT, draining INTEGER NOT NULL,
     silent INTEGER NOT NULL, created_at INTEGER NOT NULL,
     seen_at INTEGER NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS outbox (
     seq INTEGER PRIMARY KEY, topic TEXT NOT NULL, kind TEXT NOT NULL, entry TEXT NOT NULL,
     attempts INTEGER NOT NULL, next_at INTEGER NOT NULL, error TEXT)`,
  `CREATE INDEX IF NOT EXISTS outbox_topic ON outbox (topic, seq)`,
  `CREATE INDEX IF NOT EXISTS outbox_next ON outbox (next_at)`,
  `CREATE TABLE IF NOT EXISTS due (kind TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (kind, key))`,
  `CREATE INDEX IF NOT EXISTS due_at ON due (at)`,
  `CREATE TABLE IF NOT EXISTS usage (
     project TEXT NOT NULL, day TEXT NOT NULL, meter TEXT NOT NULL, total INTEGER NOT NULL,
     PRIMARY KEY (project, day, meter)) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS round (
     project TEXT PRIMARY KEY, deficit REAL NOT NULL, last INTEGER NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL)`,
];
