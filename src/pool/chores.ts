// What the alarm does beside the clock's turns: tells D1 what has changed, and deletes what nothing names any more.
import { ALARM_RETRY_MS, OUTBOX_BATCH } from "../config.ts";
import type { OutboxEntry } from "../store/outbox.ts";
import { removeGarbage } from "./blobs.ts";
import { drain } from "./drain.ts";
import type { Tables } from "./tables/index.ts";

export async function drainOutbox(
  { outbox, due }: Tables,
  settle: (entry: OutboxEntry) => Promise<void>,
): Promise<void> {
  if (!due.isOver("outbox", Date.now())) return;
  await drain(
    {
      ready: (limit) => outbox.ready(Date.now(), limit),
      done: ({ seq }) => outbox.remove("seq = ?", seq),
      park: (item, waitMs, error) => outbox.park(item, Date.now() + waitMs, error),
    },
    settle,
  );
  const next = outbox.nextAt();
  if (next === null) due.clear("outbox", "");
  else due.set("outbox", "", next);
}

export async function collectGarbage({ garbage, due }: Tables, bucket: R2Bucket): Promise<void> {
  if (!due.isOver("garbage", Date.now())) return;
  const some = garbage.all("true LIMIT ?", OUTBOX_BATCH);
  for (const name of await removeGarbage(bucket, some)) garbage.remove("name = ?", name);
  if (garbage.one("true") === null) due.clear("garbage", "");
  else due.set("garbage", "", Date.now() + ALARM_RETRY_MS);
}
