// Blobs never pass a socket or the Durable Object: workers put and get them over HTTP, R2 verifies their SHA-256.
import { z } from "zod";
import { Sha256 } from "./common.ts";

/** `<project>/<owner>/<fence>/<sha256>`: made by the server, never shared between owners. */
export const BlobKey = z
  .string()
  .regex(/^[0-9A-Za-z_]{1,80}\/[0-9A-Za-z_]{1,80}\/[0-9]{1,10}\/[0-9a-f]{64}$/)
  .meta({ id: "BlobKey" });

export const BlobRef = z
  .strictObject({ key: BlobKey, bytes: z.int().min(0).max(33_554_432), sha256: Sha256 })
  .meta({ id: "BlobRef", description: "one object of at most 32 MiB" });

/** A file of any size: the concatenation of its parts. `sha256` is of the whole file. */
export const FileRef = z
  .strictObject({
    name: z.string().regex(/^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$/),
    bytes: z.int().min(0),
    sha256: Sha256,
    parts: z.array(BlobRef).min(1).max(4096),
  })
  .meta({ id: "FileRef" });

export const BlobStored = z
  .strictObject({ object: z.enum(["blob"]), key: BlobKey, bytes: z.int().min(0), sha256: Sha256 })
  .meta({ id: "BlobStored" });

export type BlobRef = z.infer<typeof BlobRef>;
export type FileRef = z.infer<typeof FileRef>;
