// The caller's key: asked for once, kept for this tab alone, never part of an address.
import { useEffect, useState } from "preact/hooks";

const NAME = "understudy.key";

export interface Session {
  key: string | null;
  /** Why the last key is gone, in words for the person who gave it. */
  refusal: string | null;
}

let session: Session = { key: sessionStorage.getItem(NAME), refusal: null };
const listeners = new Set<(session: Session) => void>();

function change(next: Session): void {
  session = next;
  if (next.key === null) sessionStorage.removeItem(NAME);
  else sessionStorage.setItem(NAME, next.key);
  for (const listener of listeners) listener(next);
}

export const currentKey = (): string => session.key ?? "";

export const keepKey = (key: string): void => change({ key, refusal: null });

export const forgetKey = (refusal: string | null = null): void => change({ key: null, refusal });

export function useSession(): Session {
  const [current, setCurrent] = useState(session);
  useEffect(() => {
    listeners.add(setCurrent);
    // It may have changed between the first drawing and this effect.
    setCurrent(session);
    return () => void listeners.delete(setCurrent);
  }, []);
  return current;
}
