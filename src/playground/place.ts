// Which student, kept in the address, so that it can be linked to.
import { address } from "../dashboard/api.ts";

export interface Place {
  run: string | null;
  step: string | null;
  precision: string | null;
}

export function currentPlace(): Place {
  const query = new URLSearchParams(location.search);
  return { run: query.get("run"), step: query.get("step"), precision: query.get("precision") };
}

export const keepPlace = (place: Place): void => history.replaceState(null, "", address("/playground", { ...place }));
