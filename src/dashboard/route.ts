// The place in the page, kept in the address after `#`: a reload, a shared link and the back button keep it.
import { useEffect, useState } from "preact/hooks";
import { address } from "./api.ts";
import type { Query } from "./api.ts";

const VIEWS = ["boards", "evaluations", "preference-evaluations"] as const;
type View = (typeof VIEWS)[number];

export interface Route {
  view: View;
  /** The data set of a board, or the evaluation; null for the newest board. */
  id: string | null;
  query: URLSearchParams;
}

const PLACE = /^#\/([a-z-]+)\/([^/?]+)(?:\?(.*))?$/;

/** A segment that is not well-formed is taken as it stands: nothing will be found under it. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

export function parseRoute(hash: string): Route {
  const [, name, id, query = ""] = PLACE.exec(hash) ?? [];
  const view = VIEWS.find((one) => one === name);
  if (view === undefined || id === undefined) return { view: "boards", id: null, query: new URLSearchParams() };
  return { view, id: decoded(id), query: new URLSearchParams(query) };
}

export const boardPlace = (dataset: string, query: Query): string =>
  address(`#/boards/${encodeURIComponent(dataset)}`, query);

export const evaluationPlace = (id: string, query: Query): string =>
  address(`#/evaluations/${encodeURIComponent(id)}`, query);

export const preferencePlace = (id: string, query: Query): string =>
  address(`#/preference-evaluations/${encodeURIComponent(id)}`, query);

/** Goes to a place: as a step that the back button undoes, or in the stead of the present one. */
export function go(place: string, how: "step" | "replace"): void {
  if (how === "step") {
    location.hash = place;
    return;
  }
  history.replaceState(null, "", place);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const follow = () => setRoute(parseRoute(location.hash));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return route;
}
