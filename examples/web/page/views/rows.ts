import uPlot from 'uplot';
import type { MethodName } from '../../npm/index.js';
import { themeColour, type Scale } from '../colours.js';
import { announce, byId, element, setText } from '../dom.js';
import { fraction, percent, powerOfTen } from '../format.js';
import type { Input } from '../sources.js';
import { APPROXIMATIONS, METHODS } from '../state.js';
import { labelOf } from './labels.js';
import { logTicks, powerBelow } from './log-axis.js';
import { lineSample, lineSeries } from './series.js';

export type MethodRows = Record<MethodName, Float32Array>;

export interface RowFacts {
  input: Input;
  head: number;
  position: number;
  rows: MethodRows;
  topKeys: number[];
}

/** Keys either side of the position in the nearby view. */
const NEAR = 48;
/** Decades below the largest weight that the logarithmic chart goes down to at most. */
const DEEPEST = 6;
/** Where the logarithmic chart draws what is smaller, nothing included, which has no logarithm. */
const SMALLEST = 1e-12;

/** One position's attention row by each method, as lines over the keys. */
export class RowChart {
  private readonly box = byId('row-chart');
  private readonly hidden = new Set<MethodName>();
  private plot: uPlot | undefined;
  private facts: RowFacts | undefined;
  private scale: Scale = 'log';
  private near = false;

  constructor() {
    this.buildLegend();
    for (const choice of document.querySelectorAll<HTMLInputElement>('input[name=reach]')) {
      choice.addEventListener('change', () => {
        this.near = choice.value === 'near';
        this.fit();
      });
    }
    // The chart library follows the mouse only.
    for (const kind of ['pointerdown', 'pointermove'] as const) {
      this.box.addEventListener(kind, (event) => {
        const over = this.box.querySelector('.u-over')?.getBoundingClientRect();
        if (event.pointerType === 'touch' && over) this.plot?.setCursor({ left: event.clientX - over.left, top: event.clientY - over.top });
      });
    }
    new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = this.box;
      if (this.plot && width > 0) this.plot.setSize({ width, height });
    }).observe(this.box);
  }

  show(facts: RowFacts, scale: Scale): void {
    const rebuild = !this.plot || this.facts?.input !== facts.input || this.scale !== scale;
    this.facts = facts;
    this.scale = scale;
    if (rebuild) this.build();
    this.plot?.setData(this.data(), false);
    this.fit();
    this.box.dataset.position = String(facts.position);
    this.box.dataset.head = String(facts.head);
    this.summarise();
  }

  /** New marks without new lines. */
  showTopKeys(topKeys: number[]): void {
    if (!this.facts) return;
    this.facts = { ...this.facts, topKeys };
    this.plot?.redraw(false);
  }

  setScale(scale: Scale): void {
    if (scale === this.scale) return;
    this.scale = scale;
    this.rebuild();
  }

  rebuild(): void {
    if (!this.facts) return;
    this.build();
    this.plot?.setData(this.data(), false);
    this.fit();
  }

  private data(): uPlot.AlignedData {
    const rows = this.facts?.rows;
    if (!rows) return [[], [], [], [], []];
    const keys = Float64Array.from({ length: rows.exact.length }, (_, key) => key);
    const drawn = METHODS.map((method) => (this.scale === 'log' ? rows[method].map((w) => Math.max(w, SMALLEST)) : rows[method]));
    return [keys, ...drawn] as unknown as uPlot.AlignedData;
  }

  private fit(): void {
    if (!this.plot || !this.facts) return;
    const { position, rows, input } = this.facts;
    const { length } = input.shape;
    const [min, max] = this.near
      ? [Math.max(-0.5, position - NEAR), Math.min(length - 0.5, position + NEAR)]
      : [-0.5, length - 0.5];
    let largest = 0;
    let smallest = Infinity;
    for (const method of METHODS) {
      const row = rows[method];
      for (let key = Math.max(0, Math.ceil(min)); key <= Math.min(length - 1, max); key += 1) {
        largest = Math.max(largest, row[key]);
        if (row[key] > 0) smallest = Math.min(smallest, row[key]);
      }
    }
    largest ||= 1;
    // All keys nearby can have next to nothing.
    const top = Math.max(largest, 10 * SMALLEST);
    const floor = powerBelow(Math.max(Math.min(smallest, top), top / 10 ** DEEPEST, 1.5 * SMALLEST) / 1.5);
    this.plot.batch(() => {
      this.plot?.setScale('x', { min, max });
      this.plot?.setScale('y', this.scale === 'log' ? { min: floor, max: top * 2 } : { min: 0, max: largest * 1.08 });
    });
  }

  private build(): void {
    this.plot?.destroy();
    const ink = themeColour('--muted');
    const axis: uPlot.Axis = {
      stroke: ink,
      font: '12px system-ui, sans-serif',
      grid: { stroke: themeColour('--line'), width: 1 },
      ticks: { stroke: themeColour('--line'), width: 1, size: 4 },
    };
    const logarithmic = this.scale === 'log';
    const gutter = Math.max(44, byId('tracks').querySelector<HTMLElement>('.track')!.offsetLeft - byId('tracks').offsetLeft);
    const options: uPlot.Options = {
      width: Math.max(200, this.box.clientWidth),
      height: Math.max(120, this.box.clientHeight),
      padding: [12, 0, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: false }, points: { size: 6 } },
      scales: { x: { time: false, auto: false }, y: { auto: false, distr: logarithmic ? 3 : 1, log: 10 } },
      axes: [
        {
          ...axis,
          size: 30,
          // A label at the very edge would be cut in half.
          values: (plot, splits) =>
            splits.map((split) => {
              const { min = 0, max = 1 } = plot.scales.x;
              return ((max ?? 1) - split) / ((max ?? 1) - (min ?? 0)) < 0.03 ? '' : String(split);
            }),
        },
        {
          ...axis,
          size: gutter,
          ...(logarithmic ? { splits: (_, __, least, most) => logTicks(least, most) } : {}),
          values: (_, splits) =>
            splits.map((split) => {
              if (split === null) return '';
              if (!logarithmic) return String(Number(split.toPrecision(3)));
              const exponent = Math.log10(split);
              return Math.abs(exponent - Math.round(exponent)) < 1e-6 ? powerOfTen(Math.round(exponent)) : '';
            }),
        },
      ],
      series: [
        {},
        ...METHODS.map((method) => ({
          ...lineSeries(method),
          points: { show: false },
          show: !this.hidden.has(method),
        })),
      ],
      hooks: {
        drawClear: [(plot) => this.drawMarks(plot)],
        setCursor: [(plot) => this.showReadout(plot.cursor.idx ?? undefined)],
      },
    };
    this.plot = new uPlot(options, this.data(), this.box);
  }

  /** Under the lines: the position itself, and small ticks at its cluster's top keys. */
  private drawMarks(plot: uPlot): void {
    if (!this.facts) return;
    const { ctx: context, bbox } = plot;
    const ratio = window.devicePixelRatio || 1;
    context.save();
    context.beginPath();
    context.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    context.clip();
    const at = plot.valToPos(this.facts.position, 'x', true);
    context.strokeStyle = themeColour('--accent');
    context.lineWidth = 1.5 * ratio;
    context.setLineDash([4 * ratio, 4 * ratio]);
    context.beginPath();
    context.moveTo(at, bbox.top);
    context.lineTo(at, bbox.top + bbox.height);
    context.stroke();
    context.fillStyle = themeColour('--mark');
    for (const key of this.facts.topKeys) {
      context.fillRect(plot.valToPos(key, 'x', true) - ratio, bbox.top + bbox.height - 7 * ratio, 2 * ratio, 7 * ratio);
    }
    context.restore();
  }

  private showReadout(key: number | undefined): void {
    const readout = byId('row-readout');
    if (key === undefined || !this.facts || key >= this.facts.rows.exact.length) {
      setText(readout, 'Point at the chart to read weights; drag to zoom, double-click to see all.');
      return;
    }
    const { rows, input, topKeys } = this.facts;
    const weights = METHODS.map((method) => `${method} ${fraction(rows[method][key])}`).join(' · ');
    setText(readout, `Key ${labelOf(input, key)}${topKeys.includes(key) ? ', a top key' : ''}: ${weights}`);
  }

  /** The chart in a sentence, for those who do not see it, and for those who do. */
  private summarise(): void {
    if (!this.facts) return;
    const { rows, input, position, head } = this.facts;
    const best = largestOf(rows.exact, 3);
    const shared = APPROXIMATIONS.map((method) => `${method} ${percent(overlap(rows.exact, rows[method]))}`).join(', ');
    const text =
      `In head ${head + 1}, position ${labelOf(input, position)} gives most weight to ` +
      `${best.map((key) => `${labelOf(input, key)} (${fraction(rows.exact[key])})`).join(', ')}. Weight shared with exact attention: ${shared}.`;
    setText(byId('row-summary'), text);
    announce(text);
  }

  private buildLegend(): void {
    byId('row-legend').replaceChildren(
      ...METHODS.map((method) => {
        const button = element('button', 'legend-item', lineSample(method), method);
        button.type = 'button';
        button.title = 'Show or hide this line';
        button.dataset.testid = `legend-${method}`;
        button.setAttribute('aria-pressed', 'true');
        button.addEventListener('click', () => {
          const show = this.hidden.delete(method);
          if (!show) this.hidden.add(method);
          button.setAttribute('aria-pressed', String(show));
          this.plot?.setSeries(METHODS.indexOf(method) + 1, { show });
        });
        return button;
      }),
      element('span', 'legend-note', element('i', 'mark-sample'), 'top keys of its cluster'),
    );
    setText(byId('row-readout'), 'Point at the chart to read weights; drag to zoom, double-click to see all.');
  }
}

/** The keys of the largest weights, the largest first. */
function largestOf(row: Float32Array, most: number): number[] {
  const keys: number[] = [];
  for (let key = 0; key < row.length; key += 1) {
    if (keys.length === most && row[key] <= row[keys[most - 1]]) continue;
    const place = keys.findIndex((other) => row[key] > row[other]);
    keys.splice(place < 0 ? keys.length : place, 0, key);
    keys.length = Math.min(keys.length, most);
  }
  return keys;
}

/** How much of two rows' weight lies at the same keys, 0 … 1. */
function overlap(a: Float32Array, b: Float32Array): number {
  let shared = 0;
  for (let key = 0; key < a.length; key += 1) shared += Math.min(a[key], b[key]);
  return shared;
}
