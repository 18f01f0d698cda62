import type { MethodName } from '../../npm/index.js';
import { byId, element, setText } from '../dom.js';
import { bytes, fraction, milliseconds, operations, percent, times } from '../format.js';
import { METHODS } from '../state.js';
import type { Measurement } from '../worker.js';
import { lineSample } from './series.js';

interface Card {
  root: HTMLElement;
  values: Record<string, HTMLElement>;
  bars: Record<'error' | 'time', HTMLElement>;
}

const ROWS = ['worst row', 'first call', 'FLOPs', 'of exact’s', 'scratch'] as const;

/** The worst head that the guard found, and the heads that were computed exactly. */
function guarded({ guardErrors, fellBack }: Measurement): string {
  if (guardErrors.length === 0) return '–';
  const worst = Math.max(...guardErrors);
  const exact = fellBack.flatMap((fell, head) => (fell ? [head] : []));
  const heads = exact.length > 0 ? `; exact: ${exact.join(', ')}` : '';
  return `head ${guardErrors.indexOf(worst)}: ${fraction(worst)}${heads}`;
}

function bar(): [HTMLElement, HTMLElement] {
  const fill = element('span');
  const box = element('span', 'meter', fill);
  box.setAttribute('aria-hidden', 'true');
  return [box, fill];
}

/** A card a method: how far off, how fast, how much work. */
export class Cards {
  private readonly cards = new Map<MethodName, Card>();
  private readonly measurements = new Map<MethodName, Measurement>();

  constructor() {
    byId('cards').replaceChildren(...METHODS.map((method) => this.build(method)));
  }

  clear(): void {
    this.measurements.clear();
    for (const { root } of this.cards.values()) root.dataset.stale = 'true';
  }

  /** Greyed until new numbers arrive: what stands there belongs to other settings. */
  markStale(method: MethodName): void {
    const card = this.cards.get(method);
    if (card) card.root.dataset.stale = 'true';
  }

  show(method: MethodName, measurement: Measurement): void {
    this.measurements.set(method, measurement);
    const card = this.cards.get(method);
    if (!card) return;
    const { root, values } = card;
    delete root.dataset.stale;
    root.dataset.error = String(measurement.relativeError);
    root.dataset.milliseconds = String(measurement.milliseconds);
    root.dataset.operations = String(measurement.operations);
    root.dataset.worst = String(measurement.worstRowError);
    setText(values.error, fraction(measurement.relativeError));
    setText(values.time, milliseconds(measurement.milliseconds));
    setText(values['worst row'], fraction(measurement.worstRowError));
    setText(values['first call'], milliseconds(measurement.firstMilliseconds));
    setText(values.FLOPs, operations(measurement.operations));
    setText(values['of exact’s'], percent(measurement.operations / measurement.exactOperations));
    setText(values.scratch, bytes(measurement.scratchBytes));
    if (values.guard) setText(values.guard, guarded(measurement));
    root.dataset.guard = guarded(measurement);
    this.compare();
  }

  /** Exact attention of an input so long that it would hold everything up. */
  showUntimed(method: MethodName): void {
    const card = this.cards.get(method);
    if (!card) return;
    delete card.root.dataset.stale;
    for (const value of Object.values(card.values)) setText(value, '–');
    setText(card.values['speed-up'], 'too long to time here');
  }

  private compare(): void {
    const exact = this.measurements.get('exact');
    const slowest = Math.max(...[...this.measurements.values()].map((each) => each.milliseconds));
    for (const [method, measurement] of this.measurements) {
      const card = this.cards.get(method);
      if (!card) continue;
      card.bars.error.style.width = `${Math.min(1, measurement.relativeError) * 100}%`;
      card.bars.time.style.width = `${(measurement.milliseconds / slowest) * 100}%`;
      const speedUp = exact ? `${times(exact.milliseconds / measurement.milliseconds)} exact's speed` : '';
      setText(card.values['speed-up'], method === 'exact' ? 'the reference' : speedUp || ' ');
    }
  }

  private build(method: MethodName): HTMLElement {
    const values: Record<string, HTMLElement> = {};
    const value = (name: string, className = ''): HTMLElement => (values[name] = element('span', className, '–'));
    const [errorBar, errorFill] = bar();
    const [timeBar, timeFill] = bar();
    const list = element('dl');
    const rows = method === 'stitched' ? [...ROWS, 'guard'] : ROWS;
    for (const name of rows) list.append(element('div', '', element('dt', '', name), element('dd', '', value(name))));
    const root = element(
      'article',
      'card',
      element('h3', '', lineSample(method), method),
      element('div', 'figure', element('span', 'figure-name', 'error'), value('error', 'figure-value')),
      errorBar,
      element('div', 'figure', element('span', 'figure-name', 'time'), value('time', 'figure-value')),
      timeBar,
      element('p', 'speed', value('speed-up')),
      list,
    );
    setText(values['speed-up'], ' ');
    root.style.setProperty('--method', `var(--${method})`);
    root.dataset.testid = `card-${method}`;
    root.dataset.stale = 'true';
    this.cards.set(method, { root, values, bars: { error: errorFill, time: timeFill } });
    return root;
  }
}
