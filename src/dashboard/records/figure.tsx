// One figure of an evaluation, with its interval.
import type { Interval } from "../answers/common.ts";
import { points, range } from "../format.ts";
import { IntervalPlot } from "../interval.tsx";

interface FigureProps {
  name: string;
  about: string;
  interval: Interval | null;
  /** The value that says nothing, marked where there is one. */
  neutral?: number;
}

export const Figure = ({ name, about, interval, neutral }: FigureProps) => (
  <li>
    <span class="name" title={about}>
      {name}
    </span>
    {interval === null ? (
      <span class="quiet">not graded</span>
    ) : (
      <>
        <span>
          <strong>{points(interval.mean)}</strong> <span class="quiet">{range(interval)}</span>
        </span>
        <IntervalPlot figures={interval} neutral={neutral ?? null} />
      </>
    )}
  </li>
);
