// Secrets and keys of the local stack: made at its first start, kept beside its databases, readable by their owner only.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import { ApiError, Understudy } from "../../src/sdk/index.ts";

const Secrets = z.strictObject({ operator: z.string(), ids: z.string() });
export type Secrets = z.infer<typeof Secrets>;

const Keys = z.strictObject({ admin: z.string(), worker: z.string() });
/** `admin` is of this machine's project; `worker` serves every project. */
export type Keys = z.infer<typeof Keys>;

const secret = (): string => randomBytes(32).toString("base64url");

/** What `path` holds, or what `make` gives, written there first. */
async function keep<T>(schema: z.ZodType<T>, path: string, make: () => T | Promise<T>): Promise<T> {
  if (existsSync(path)) return schema.parse(JSON.parse(readFileSync(path, "utf8")));
  const made = await make();
  writeFileSync(path, JSON.stringify(made), { mode: 0o600 });
  return made;
}

export function keepSecrets(folder: string): Promise<Secrets> {
  mkdirSync(folder, { recursive: true });
  return keep(Secrets, join(folder, "secrets.json"), () => ({ operator: secret(), ids: secret() }));
}

function shown(value: string | null): string {
  if (value === null) throw new Error("the stack's state is half made: delete its folder and start again");
  return value;
}

async function makeKeys(url: string, secrets: Secrets): Promise<Keys> {
  const operator = new Understudy({ baseUrl: url, apiKey: secrets.operator });
  const worker = await operator.createKey({ name: "local-workers", role: "worker" });
  // A name of its own each time: an earlier start may have died between making the project and keeping its key.
  const project = await operator.createProject({ name: `local-${randomBytes(4).toString("hex")}` });
  return { admin: shown(project.admin_key), worker: shown(worker.secret) };
}

/** Keys outlive the databases that know them where only these were deleted. */
async function known(url: string, keys: Keys): Promise<boolean> {
  try {
    await new Understudy({ baseUrl: url, apiKey: keys.admin }).usage();
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return false;
    throw error;
  }
}

export async function keepKeys(folder: string, url: string, secrets: Secrets): Promise<Keys> {
  const path = join(folder, "keys.json");
  const keys = await keep(Keys, path, () => makeKeys(url, secrets));
  if (await known(url, keys)) return keys;
  rmSync(path);
  return keep(Keys, path, () => makeKeys(url, secrets));
}

/** A file to source in a shell: where the service is, and a key for it. */
export function writeEnv(path: string, url: string, key: string): void {
  writeFileSync(path, `UNDERSTUDY_BASE_URL=${url}\nUNDERSTUDY_API_KEY=${key}\n`, { mode: 0o600 });
}
