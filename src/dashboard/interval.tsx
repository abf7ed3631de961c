// A mean with its 95% interval on an axis from 0 to 100. Places are percentages of the drawing, so it is as wide as its cell.
import { points, range } from "./format.ts";

const TICKS = [0, 25, 50, 75, 100];

interface Figures {
  mean: number;
  low: number;
  high: number;
}

const at = (value: number): string => `${value}%`;

export const intervalText = (figures: Figures): string =>
  `mean ${points(figures.mean)}, 95% interval ${range(figures)}`;

interface Plot {
  figures: Figures;
  /** The value that says nothing, marked where there is one. */
  neutral?: number | null;
}

export const IntervalPlot = ({ figures, neutral = null }: Plot) => (
  <svg class="interval" role="img" aria-label={intervalText(figures)}>
    {TICKS.map((tick) => (
      <line
        key={tick}
        class={tick === neutral ? "grid neutral" : "grid"}
        x1={at(tick)}
        x2={at(tick)}
        y1="0"
        y2="100%"
      />
    ))}
    <line class="whisker" x1={at(figures.low)} x2={at(figures.high)} y1="50%" y2="50%" />
    {[figures.low, figures.high].map((end, i) => (
      <svg key={i} class="cap" aria-hidden="true" x={at(end)} y="50%">
        <line class="whisker" x1="0" x2="0" y1="-0.35em" y2="0.35em" />
      </svg>
    ))}
    <circle class="mean" cx={at(figures.mean)} cy="50%" r="0.3em" />
  </svg>
);

/** The scale above a column of plots; each plot says its figures itself. */
export const Axis = () => (
  <svg class="axis" aria-hidden="true">
    {TICKS.map((tick) => (
      <text key={tick} x={at(tick)} y="0.9em">
        {tick}
      </text>
    ))}
  </svg>
);
