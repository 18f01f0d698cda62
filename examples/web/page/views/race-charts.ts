import uPlot from 'uplot';
import type { MethodName } from '../../npm/index.js';
import { themeColour } from '../colours.js';
import { powerOfTen } from '../format.js';
import type { RacePoint } from '../race-run.js';
import { APPROXIMATIONS, METHODS } from '../state.js';
import { logTicks, powerAbove, powerBelow } from './log-axis.js';
import { lineSeries } from './series.js';

/** The chart leaves out lengths whose labels would collide. */
function lengthLabel(length: number | null): string {
  if (length === null) return '';
  return length >= 1024 ? `${length / 1024}k` : String(length);
}

function timeLabel(value: number): string {
  return value >= 1000 ? `${value / 1000} s` : `${value} ms`;
}

/** Time and error against length. */
export class RaceCharts {
  private time: uPlot | undefined;
  private error: uPlot | undefined;

  constructor(
    private readonly timeBox: HTMLElement,
    private readonly errorBox: HTMLElement,
  ) {
    const observer = new ResizeObserver(() => {
      for (const [plot, box] of [[this.time, timeBox], [this.error, errorBox]] as const) {
        if (plot && box.clientWidth > 0) plot.setSize({ width: box.clientWidth, height: box.clientHeight });
      }
    });
    observer.observe(timeBox);
    observer.observe(errorBox);
  }

  draw(points: readonly RacePoint[], lengths: readonly number[]): void {
    this.time?.destroy();
    this.error?.destroy();
    const times = points.map((point) => point.measurement.milliseconds).filter((time) => time > 0);
    const low = powerBelow(Math.min(1, ...times));
    const high = powerAbove(Math.max(10, ...times));
    const largest = Math.max(0.1, ...points.map((point) => point.measurement.relativeError));
    const xRange: [number, number] = [lengths[0] / 1.15, lengths[lengths.length - 1] * 1.15];
    const value = (method: string, length: number, pick: (point: RacePoint) => number): number | null => {
      const found = points.find((point) => point.method === method && point.length === length);
      return found ? pick(found) : null;
    };
    const columns = (methods: readonly string[], pick: (point: RacePoint) => number): uPlot.AlignedData =>
      [[...lengths], ...methods.map((method) => lengths.map((length) => value(method, length, pick)))] as uPlot.AlignedData;
    this.time = new uPlot(
      options(this.timeBox, METHODS, xRange, lengths, { distr: 3, log: 10, range: [low, high] }, (splits) =>
        splits.map((split) => {
          if (split === null) return '';
          const exponent = Math.log10(split);
          if (Math.abs(exponent - Math.round(exponent)) > 1e-6) return '';
          return split >= 0.01 ? timeLabel(Number(split.toPrecision(3))) : `${powerOfTen(Math.round(exponent))} ms`;
        }),
      ),
      columns(METHODS, (point) => Math.max(1e-4, point.measurement.milliseconds)),
      this.timeBox,
    );
    this.error = new uPlot(
      options(this.errorBox, APPROXIMATIONS, xRange, lengths, { distr: 1, range: [0, largest * 1.1] }, (splits) =>
        splits.map((split) => String(Number(split.toPrecision(3)))),
      ),
      columns(APPROXIMATIONS, (point) => point.measurement.relativeError),
      this.errorBox,
    );
  }
}

function options(
  box: HTMLElement,
  methods: readonly MethodName[],
  xRange: [number, number],
  lengths: readonly number[],
  y: uPlot.Scale,
  labels: (splits: number[]) => string[],
): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: themeColour('--muted'),
    font: '12px system-ui, sans-serif',
    grid: { stroke: themeColour('--line'), width: 1 },
    ticks: { stroke: themeColour('--line'), width: 1, size: 4 },
  };
  return {
    width: Math.max(200, box.clientWidth),
    height: Math.max(160, box.clientHeight),
    padding: [12, 12, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, distr: 3, log: 2, range: xRange }, y },
    axes: [
      { ...axis, size: 30, splits: () => [...lengths], values: (_, splits) => splits.map(lengthLabel) },
      {
        ...axis,
        size: 58,
        ...(y.distr === 3 ? { splits: (_, __, least, most) => logTicks(least, most) } : {}),
        values: (_, splits) => labels(splits),
      },
    ],
    series: [
      {},
      ...methods.map(lineSeries).map((line) => ({ ...line, points: { show: true, size: 6, fill: line.stroke } })),
    ],
  };
}
