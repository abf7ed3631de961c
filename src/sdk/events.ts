// Server-sent events: the text of a stream becomes events with their ids.

export interface ServerEvent {
  id: string | null;
  data: string;
}

/** Splits a stream into events as the HTML standard says: fields by line, an empty line ends one, comments are skipped. */
export async function* parseEvents(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<ServerEvent> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event: ServerEvent = { id: null, data: "" };
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r\n|\n/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "") {
          if (event.data !== "") yield { ...event, data: event.data.slice(0, -1) };
          event = { id: event.id, data: "" };
        } else {
          event = withField(event, line);
        }
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function withField(event: ServerEvent, line: string): ServerEvent {
  const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
  if (name === "data") return { ...event, data: `${event.data}${value ?? ""}\n` };
  return name === "id" ? { ...event, id: value ?? null } : event;
}
