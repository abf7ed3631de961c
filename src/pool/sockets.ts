// The workers' WebSockets: what is attached to each, and how a frame is read from one.
import { z } from "zod";
import { MAX_FRAME_BYTES, MAX_KEY_SOCKETS } from "../config.ts";
import { FromWorker } from "../wire/pool.ts";
import type { ToWorker } from "../wire/pool.ts";
import { known } from "../wire/tolerant.ts";

/** Survives hibernation with the socket. `boot` is null until its hello. */
const Attachment = z.object({
  socket: z.string(),
  key: z.string(),
  project: z.string(),
  boot: z.string().nullable(),
});
export type Attachment = z.infer<typeof Attachment>;

export const attachmentOf = (ws: WebSocket): Attachment => Attachment.parse(ws.deserializeAttachment());

/** Who opened the socket: headers that our Worker sets once it has checked the key. */
const Headers = z.object({ key: z.string().min(1), project: z.string() });

export function accept(ctx: DurableObjectState, request: Request): Response {
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    return new Response("a worker connects by WebSocket", { status: 426, headers: { upgrade: "websocket" } });
  }
  const { key, project } = Headers.parse({
    key: request.headers.get("x-understudy-key"),
    project: request.headers.get("x-understudy-project"),
  });
  if (ctx.getWebSockets(keyTag(key)).length >= MAX_KEY_SOCKETS) {
    return new Response("this key has as many connections as one may have", {
      status: 429,
      headers: { "retry-after": "10" },
    });
  }
  const { 0: client, 1: server } = new WebSocketPair();
  const attachment: Attachment = { socket: crypto.randomUUID(), key, project, boot: null };
  ctx.acceptWebSocket(server, [attachment.socket, keyTag(key)]);
  server.serializeAttachment(attachment);
  return new Response(null, { status: 101, webSocket: client });
}

const keyTag = (key: string): string => `key ${key}`;

export type Incoming = { frame: FromWorker } | { code: number; reason: string };

/** A frame, or why the socket must close. */
export function readFrame(message: string | ArrayBuffer, most = MAX_FRAME_BYTES): Incoming {
  if (typeof message !== "string") return { code: 1008, reason: "frames are JSON text" };
  // A character takes at least one byte, and at most three for each UTF-16 unit.
  const long = message.length > most || (message.length > most / 3 && new TextEncoder().encode(message).length > most);
  if (long)
    return {
      code: 1009,
      reason: `${most < MAX_FRAME_BYTES ? "the first frame" : "a frame"} has at most ${most} bytes`,
    };
  let value: unknown;
  try {
    value = JSON.parse(message);
  } catch {
    return { code: 1008, reason: "a frame is one JSON object" };
  }
  const parsed = FromWorker.safeParse(known(FromWorker, value));
  if (parsed.success) return { frame: parsed.data };
  const [issue] = parsed.error.issues;
  return { code: 1008, reason: reasonOf(`bad frame: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`) };
}

/** A close reason has at most 123 bytes. */
export const reasonOf = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 120);

export function closeSocket(ws: WebSocket, code: number, reason: string): void {
  try {
    ws.close(code, reasonOf(reason));
  } catch {
    // Closed already: its own close event follows.
  }
}

export function sendFrame(ws: WebSocket, frame: ToWorker): void {
  try {
    ws.send(JSON.stringify(frame));
  } catch {
    // Closed already: the lease is cut by the close event, and reconciled at the next hello.
  }
}
