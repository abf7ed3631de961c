// Readers that ask the pool again and again: where many wait it answers at once, and a reader must not spin then.

/** Least time between two questions where the first had nothing new, ms. */
const PAUSE_MS = 1000;

/** What `ask` answers; an answer with nothing new no sooner than a second after the question. */
export async function paced<T>(ask: () => Promise<T>, isNew: (answer: T) => boolean): Promise<T> {
  const began = Date.now();
  const answer = await ask();
  const left = PAUSE_MS - (Date.now() - began);
  if (!isNew(answer) && left > 0) await scheduler.wait(left);
  return answer;
}
