// Who asks: keys `us_<id>_<32 random bytes>`, looked up by id, kept as SHA-256, compared in constant time.
import { KEY_CACHE_MS } from "../config.ts";
import type { Env } from "../env.ts";
import { ApiError } from "../errors.ts";
import { database } from "../store/database.ts";
import { findKey } from "../store/keys.ts";
import type { KeyRow, ProjectRow } from "../store/keys.ts";
import type { Caller, Project } from "./context.ts";
import { sha256 } from "./identity.ts";
import { Lately } from "./lately.ts";

const KEY = /^us_([0-9A-Za-z]{24})_([0-9A-Za-z_-]{43})$/;
interface Known {
  key: KeyRow;
  project: ProjectRow | null;
}

/** As many as a bound on memory allows, far above the keys that one isolate sees in ten seconds. */
const known = new Lately<Known>({ ms: KEY_CACHE_MS, size: 1000 });

/** The secret text of key `id`: shown once, never stored. */
export function newSecret(id: string): string {
  const random = crypto.getRandomValues(new Uint8Array(32));
  const base64 = btoa(String.fromCharCode(...random));
  return `us_${id.slice("key_".length)}_${base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

/** Makes this isolate ask D1 for the key again. */
export const forget = (id: string): boolean => known.delete(id);

const projectOf = (row: ProjectRow): Project => ({
  id: row.id,
  name: row.name,
  pool: row.pool,
  retentionDays: row.retentionDays,
});

/** Equal lengths by construction: both are digests in hexadecimal. */
function sameDigest(a: string, b: string): boolean {
  const encoder = new TextEncoder();
  return crypto.subtle.timingSafeEqual(encoder.encode(a), encoder.encode(b));
}

async function lookUp(env: Env, id: string, now: number): Promise<Known | null> {
  const cached = known.get(id, now);
  if (cached !== null) return cached;
  const found = await findKey(database(env.DB), id);
  if (found !== null) known.set(id, found, now);
  return found;
}

/** The caller behind an `Authorization` header. */
export async function authenticate(env: Env, authorization: string | undefined, now: number): Promise<Caller> {
  const [scheme, bearer] = (authorization ?? "").split(/\s+/, 2);
  if (scheme?.toLowerCase() !== "bearer" || bearer === undefined || bearer === "") {
    throw new ApiError("missing_key", "Send a key: `Authorization: Bearer us_...`.");
  }
  if (sameDigest(await sha256(bearer), await sha256(env.OPERATOR_SECRET))) return { kind: "operator" };
  const match = KEY.exec(bearer);
  const entry = match?.[1] === undefined ? null : await lookUp(env, `key_${match[1]}`, now);
  if (entry === null || !sameDigest(await sha256(bearer), entry.key.secretSha256)) {
    throw new ApiError("bad_key", "This key is not valid: it is mistyped, or it was revoked.");
  }
  return {
    kind: "key",
    key: { id: entry.key.id, role: entry.key.role },
    project: entry.project === null ? null : projectOf(entry.project),
  };
}
