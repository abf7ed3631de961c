// A line chart as SVG: both axes logarithmic, legible on a light and on a dark page.

export interface Line {
  name: string;
  points: [number, number][];
}

export interface Chart {
  title: string;
  x: string;
  y: string;
  lines: Line[];
}

const WIDTH = 720;
const HEIGHT = 420;
const MARGIN = { left: 70, right: 150, top: 48, bottom: 52 };
const TEXT_HEIGHT = 15;
// Told apart by brightness too, and dark enough on white and light enough on black.
const COLOURS = ["#d1495b", "#2e86ab", "#3a9d5d", "#b07d2b"];
const STYLE = `text{font:13px system-ui,sans-serif;fill:#24292f}.axis,.grid{stroke:#24292f}.grid{opacity:.15}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.axis,.grid{stroke:#e6edf3}}`;

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

interface Scale {
  at(value: number): number;
  ticks: number[];
}

/** From the smallest to the largest value, on a logarithmic scale. */
function scale(values: number[], [from, to]: [number, number], ticks: number[]): Scale {
  const low = Math.log(Math.min(...values, ...ticks));
  const high = Math.log(Math.max(...values, ...ticks));
  const span = high > low ? high - low : 1;
  return { at: (value) => from + ((Math.log(value) - low) / span) * (to - from), ticks };
}

/** 1, 2 and 5 times powers of ten that enclose the values. */
function roundTicks(values: number[]): number[] {
  const all = Array.from({ length: 36 }, (_, i) => [1, 2, 5].map((digit) => digit * 10 ** (i - 12))).flat();
  const first = all.findLastIndex((tick) => tick <= Math.min(...values));
  const last = all.findIndex((tick) => tick >= Math.max(...values));
  return all.slice(first, last + 1);
}

const label = (value: number): string =>
  value >= 10_000 ? `${Math.round(value / 1000)}k` : `${Number(value.toPrecision(3))}`;

function frame(x: Scale, y: Scale, chart: Chart): string {
  const [left, right, top, bottom] = [MARGIN.left, WIDTH - MARGIN.right, MARGIN.top, HEIGHT - MARGIN.bottom];
  const rows = y.ticks.map(
    (tick) =>
      `<line class="grid" x1="${left}" x2="${right}" y1="${y.at(tick).toFixed(1)}" y2="${y.at(tick).toFixed(1)}"/>` +
      `<text x="${left - 8}" y="${(y.at(tick) + 4).toFixed(1)}" text-anchor="end">${label(tick)}</text>`,
  );
  const columns = x.ticks.map(
    (tick) => `<text x="${x.at(tick).toFixed(1)}" y="${bottom + 20}" text-anchor="middle">${label(tick)}</text>`,
  );
  return [
    `<text x="${left}" y="24" font-weight="600">${escaped(chart.title)}</text>`,
    `<text x="${left - 8}" y="${top - 8}" text-anchor="middle">${escaped(chart.y)}</text>`,
    `<text x="${(left + right) / 2}" y="${HEIGHT - 10}" text-anchor="middle">${escaped(chart.x)}</text>`,
    ...rows,
    ...columns,
    `<path class="axis" fill="none" d="M${left} ${top}V${bottom}H${right}"/>`,
  ].join("\n");
}

/** Heights of the names at the lines' ends, pushed apart where lines end close together. */
function nameHeights(lines: Line[], y: Scale): Map<Line, number> {
  const ends = lines.map((line) => ({ line, at: y.at(line.points.at(-1)?.[1] ?? 1) }));
  ends.sort((a, b) => a.at - b.at);
  let least = -Infinity;
  return new Map(
    ends.map(({ line, at }) => {
      least = Math.max(at, least + TEXT_HEIGHT);
      return [line, least];
    }),
  );
}

function drawn(line: Line, colour: string, x: Scale, y: Scale, nameAt: number): string {
  const places = line.points.map(([a, b]) => [x.at(a).toFixed(1), y.at(b).toFixed(1)] as const);
  const dots = places.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour}"/>`);
  const nameX = (x.at(line.points.at(-1)?.[0] ?? 1) + 10).toFixed(1);
  return [
    `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${places.map((place) => place.join(",")).join(" ")}"/>`,
    ...dots,
    `<text x="${nameX}" y="${(nameAt + 4).toFixed(1)}">${escaped(line.name)}</text>`,
  ].join("\n");
}

export function svg(chart: Chart): string {
  const points = chart.lines.flatMap((line) => line.points);
  const values = { x: points.map(([a]) => a), y: points.map(([, b]) => b) };
  const x = scale(values.x, [MARGIN.left, WIDTH - MARGIN.right], [...new Set(values.x)]);
  const y = scale(values.y, [HEIGHT - MARGIN.bottom, MARGIN.top], roundTicks(values.y));
  const names = nameHeights(chart.lines, y);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(chart.title)}">`,
    `<style>${STYLE}</style>`,
    frame(x, y, chart),
    ...chart.lines.map((line, i) => drawn(line, COLOURS[i % COLOURS.length] ?? "", x, y, names.get(line) ?? 0)),
    "</svg>",
    "",
  ].join("\n");
}
