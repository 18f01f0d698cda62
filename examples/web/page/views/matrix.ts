import { css, diverging, intensity, smallestShown, viridis, type Colour, type Scale } from '../colours.js';
import { byId, element, setText } from '../dom.js';
import { fraction } from '../format.js';
import type { Input } from '../sources.js';
import type { Approximation } from '../state.js';
import { labelOf } from './labels.js';
import { pickable, type Pick } from './pick.js';

export interface MatrixFacts {
  input: Input;
  head: number;
  method: Approximation;
  size: number;
  exact: Float32Array;
  approximate: Float32Array;
}

interface Picture {
  figure: HTMLElement;
  canvas: HTMLCanvasElement;
  title: HTMLElement;
  bar: HTMLElement;
  low: HTMLElement;
  high: HTMLElement;
  needle: HTMLElement;
}

const NAMES = ['exact', 'method', 'difference'] as const;

/** A difference in -1 … 1, on the same kind of scale as the weights. */
function signed(difference: number, largest: number, scale: Scale): number {
  return Math.sign(difference) * intensity(Math.abs(difference), largest, scale);
}

/** A head's attention matrix: exact, by the method, and what is between them. */
export class MatrixView {
  private readonly pictures: Picture[];
  private facts: MatrixFacts | undefined;
  private pointed: { row: number; column: number } | undefined;

  constructor(pick: Pick) {
    this.pictures = NAMES.map((name) => this.build(name, pick));
    byId('matrices').replaceChildren(...this.pictures.map((picture) => picture.figure));
    this.readout();
  }

  show(facts: MatrixFacts, scale: Scale): void {
    this.facts = facts;
    const { exact, approximate, size, method } = facts;
    const largest = Math.max(exact.reduce((a, b) => Math.max(a, b), 0), approximate.reduce((a, b) => Math.max(a, b), 0));
    const difference = approximate.map((weight, index) => weight - exact[index]);
    const farthest = difference.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1e-12;
    const [left, middle, right] = this.pictures;
    setText(middle.title, method);
    setText(right.title, `${method} − exact`);
    paint(left, exact, size, (weight) => viridis(intensity(weight, largest, scale)));
    paint(middle, approximate, size, (weight) => viridis(intensity(weight, largest, scale)));
    paint(right, difference, size, (value) => diverging(signed(value, farthest, scale)));
    for (const picture of [left, middle]) {
      setText(picture.low, scale === 'log' ? `≤ ${fraction(smallestShown(largest, scale))}` : '0');
      setText(picture.high, fraction(largest));
    }
    setText(right.low, `−${fraction(farthest)}`);
    setText(right.high, `+${fraction(farthest)}`);
    this.summarise(difference, farthest);
    this.readout();
  }

  clear(): void {
    this.facts = undefined;
    for (const { canvas } of this.pictures) canvas.getContext('2d')?.clearRect(0, 0, canvas.width, canvas.height);
    setText(byId('matrix-summary'), ' ');
  }

  showTooLong(): void {
    this.clear();
    setText(byId('matrix-summary'), 'This input is so long that its exact matrix would hold up everything else; it is not drawn.');
  }

  showPosition(position: number, length: number): void {
    for (const { needle } of this.pictures) needle.style.top = `${((position + 0.5) / length) * 100}%`;
  }

  rescale(scale: Scale): void {
    if (this.facts) this.show(this.facts, scale);
  }

  private summarise(difference: Float32Array, farthest: number): void {
    const { facts } = this;
    if (!facts) return;
    const mean = difference.reduce((sum, value) => sum + Math.abs(value), 0) / facts.size / 2;
    const { length } = facts.input.shape;
    const block = length / facts.size;
    const blocks = block > 1 ? ` in blocks of about ${block.toFixed(1)} positions` : '';
    setText(
      byId('matrix-summary'),
      `Head ${facts.head + 1}, ${length} × ${length} drawn as ${facts.size} × ${facts.size}${blocks}: ${facts.method} attention puts ` +
        `${(mean * 100).toFixed(1)} % of the weight elsewhere than exact attention, at this resolution; the largest difference of a block is ${fraction(farthest)}.`,
    );
  }

  private readout(): void {
    const readout = byId('matrix-readout');
    if (!this.facts || !this.pointed) {
      setText(readout, 'Point at a matrix to read a block; click to go to its query.');
      return;
    }
    const { exact, approximate, size, input, method } = this.facts;
    const { row, column } = this.pointed;
    const index = row * size + column;
    setText(
      readout,
      `Query ${this.range(row, input)} to key ${this.range(column, input)}: exact ${fraction(exact[index])} · ${method} ${fraction(approximate[index])}`,
    );
  }

  private range(block: number, input: Input): string {
    const [first, last] = this.bounds(block);
    return last > first ? `${first}–${last}` : labelOf(input, first);
  }

  private bounds(block: number): [number, number] {
    if (!this.facts) return [0, 0];
    const { size } = this.facts;
    const { length } = this.facts.input.shape;
    const first = Math.floor((block * length) / size);
    return [first, Math.max(first, Math.floor(((block + 1) * length) / size) - 1)];
  }

  private build(name: (typeof NAMES)[number], pick: Pick): Picture {
    const canvas = element('canvas');
    canvas.width = canvas.height = 1;
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', `Attention matrix, ${name}`);
    const needle = element('span', 'row-needle');
    const frame = element('div', 'matrix-frame', canvas, needle);
    const bar = element('span', `colour-bar ${name === 'difference' ? 'diverging' : ''}`);
    bar.style.background = gradient(name === 'difference' ? (t) => diverging(2 * t - 1) : viridis);
    const low = element('span', '', '–');
    const high = element('span', '', '–');
    const title = element('figcaption', '', name);
    const figure = element('figure', 'matrix', title, frame, element('div', 'colours', low, bar, high));
    figure.dataset.testid = `matrix-${name}`;
    const blockAt = (event: MouseEvent): { row: number; column: number } | undefined => {
      if (!this.facts) return undefined;
      const box = frame.getBoundingClientRect();
      const { size } = this.facts;
      const place = (offset: number, extent: number): number =>
        Math.max(0, Math.min(size - 1, Math.floor((offset / Math.max(1, extent)) * size)));
      return { row: place(event.clientY - box.top, box.height), column: place(event.clientX - box.left, box.width) };
    };
    const positionAt = (event: MouseEvent): number | undefined => {
      const block = blockAt(event);
      if (!block) return undefined;
      const [first, last] = this.bounds(block.row);
      return Math.floor((first + last) / 2);
    };
    // A matrix only reads out under the pointer; the position follows a click.
    pickable(frame, { ...pick, hover: () => undefined }, positionAt);
    frame.addEventListener('pointermove', (event) => {
      this.pointed = blockAt(event);
      this.readout();
    });
    frame.addEventListener('pointerleave', () => {
      this.pointed = undefined;
      this.readout();
    });
    return { figure, canvas, title, bar, low, high, needle };
  }
}

function gradient(colour: (t: number) => Colour): string {
  const stops = Array.from({ length: 17 }, (_, index) => css(colour(index / 16)));
  return `linear-gradient(to right, ${stops.join(', ')})`;
}

function paint(picture: Picture, values: Float32Array, size: number, colour: (value: number) => Colour): void {
  const { canvas } = picture;
  canvas.width = canvas.height = size;
  const context = canvas.getContext('2d');
  if (!context) return;
  const pixels = context.createImageData(size, size);
  for (let index = 0; index < values.length; index += 1) {
    const [red, green, blue] = colour(values[index]);
    pixels.data.set([red, green, blue, 255], index * 4);
  }
  context.putImageData(pixels, 0, 0);
}
