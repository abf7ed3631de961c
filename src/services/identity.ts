// Identifiers and digests. An id made from an Idempotency-Key makes creation idempotent with no second table.

const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** 24 base-62 digits hold 142 bits. */
const ID_LENGTH = 24;
const encoder = new TextEncoder();

function base62(bytes: Uint8Array): string {
  let number = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  let digits = "";
  while (digits.length < ID_LENGTH) {
    digits += BASE62.charAt(Number(number % 62n));
    number /= 62n;
  }
  return digits;
}

export const hex = (bytes: ArrayBuffer): string =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** `<prefix>_` and 24 random base-62 digits. */
export const newId = (prefix: string): string => `${prefix}_${base62(crypto.getRandomValues(new Uint8Array(32)))}`;

/** The id of another resource made together with `id`, such as the job that prepares a model: the same on every try. */
export const twinId = (prefix: string, id: string): string => `${prefix}_${id.slice(id.indexOf("_") + 1)}`;

async function keyedId(secret: string, prefix: string, parts: readonly string[]): Promise<string> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["sign"]);
  const mac = await crypto.subtle.sign("HMAC", key, encoder.encode(JSON.stringify(parts)));
  return `${prefix}_${base62(new Uint8Array(mac))}`;
}

/** HMAC(project, route, Idempotency-Key) where the header is given, else a new id. */
export const resourceId = (
  ctx: { env: { ID_SECRET: string }; project: { id: string }; idempotencyKey: string | null },
  prefix: string,
  route: string,
): Promise<string> =>
  ctx.idempotencyKey === null
    ? Promise.resolve(newId(prefix))
    : keyedId(ctx.env.ID_SECRET, prefix, [ctx.project.id, route, ctx.idempotencyKey]);

/** JSON with sorted keys, so that equal values have equal digests. Undefined members are left out, as JSON does. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

export const sha256 = async (data: string | Uint8Array<ArrayBuffer>): Promise<string> =>
  hex(await crypto.subtle.digest("SHA-256", typeof data === "string" ? encoder.encode(data) : data));

/** SHA-256 of canonical JSON. */
export const digest = (value: unknown): Promise<string> => sha256(canonical(value));
