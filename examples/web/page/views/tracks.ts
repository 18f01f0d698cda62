// The strips that share the chart's horizontal axis: weights of exact attention and of the method, clusters, the cluster's members and top keys.
import type { Groups } from '../../npm/index.js';
import { clusterColour, css, ground, heat, intensity, isDark, themeColour, type Scale } from '../colours.js';
import { byId, prepareCanvas, setText } from '../dom.js';
import { count } from '../format.js';
import type { Input } from '../sources.js';
import { labelOf } from './labels.js';
import { pickable, positionAlong, type Pick } from './pick.js';
import { hideTooltip, showTooltip } from './tooltip.js';

const NO_KEY = 0xffffffff;

/** The clusters of one head. */
export interface HeadGroups {
  clusters: Uint32Array;
  sizes: Uint32Array;
  topKeys(cluster: number): number[];
}

export function groupsOfHead(groups: Groups, length: number, head: number): HeadGroups {
  const heads = groups.clusters.length / length;
  const clusters = groups.sizes.length / heads;
  const stride = groups.topKStride;
  return {
    clusters: groups.clusters.subarray(head * length, (head + 1) * length),
    sizes: groups.sizes.subarray(head * clusters, (head + 1) * clusters),
    topKeys: (cluster) => {
      const begin = (head * clusters + cluster) * stride;
      return [...groups.topKeys.subarray(begin, begin + stride)].filter((key) => key !== NO_KEY);
    },
  };
}

export class Tracks {
  private input: Input | undefined;
  private groups: HeadGroups | undefined;
  private position = 0;
  private readonly strip = byId('strip');

  constructor(pick: Pick) {
    const length = (): number => this.input?.shape.length ?? 1;
    const positionAt = positionAlong(this.strip, length);
    const withTooltip: Pick = {
      ...pick,
      hover: (position, event) => {
        pick.hover(position, event);
        const text = position === undefined ? undefined : this.describe(position);
        if (text && event) showTooltip(text, event);
        else hideTooltip();
      },
    };
    pickable(this.strip, withTooltip, positionAt);
    for (const id of ['heat-exact', 'heat-method', 'marks']) {
      const canvas = byId(id);
      pickable(canvas, pick, positionAlong(canvas, length));
    }
  }

  showInput(input: Input): void {
    this.input = input;
    this.groups = undefined;
    this.strip.setAttribute('aria-valuemin', '0');
    this.strip.setAttribute('aria-valuemax', String(input.shape.length - 1));
  }

  showPosition(position: number): void {
    this.position = position;
    if (!this.input) return;
    byId('strip-needle').style.left = `${((position + 0.5) / this.input.shape.length) * 100}%`;
    this.strip.setAttribute('aria-valuenow', String(position));
    this.strip.setAttribute('aria-valuetext', this.describe(position) ?? labelOf(this.input, position));
    this.drawMarks();
    this.showReadout();
  }

  showGroups(groups: HeadGroups): void {
    this.groups = groups;
    this.drawClusters();
    this.showPosition(this.position);
  }

  showWeights(exact: Float32Array, method: Float32Array, scale: Scale): void {
    const largest = Math.max(exact.reduce((a, b) => Math.max(a, b), 0), method.reduce((a, b) => Math.max(a, b), 0));
    drawHeat(byId<HTMLCanvasElement>('heat-exact'), exact, largest, scale);
    drawHeat(byId<HTMLCanvasElement>('heat-method'), method, largest, scale);
  }

  redraw(): void {
    if (!this.groups) return;
    this.drawClusters();
    this.drawMarks();
  }

  private describe(position: number): string | undefined {
    if (!this.input || !this.groups) return undefined;
    const cluster = this.groups.clusters[position];
    return `${labelOf(this.input, position)} · cluster ${cluster} · ${count(this.groups.sizes[cluster])} members`;
  }

  private showReadout(): void {
    if (!this.input || !this.groups) return;
    const cluster = this.groups.clusters[this.position];
    const members = this.groups.sizes[cluster];
    const keys = this.groups.topKeys(cluster);
    const some = keys.slice(0, 5).map((key) => labelOf(this.input as Input, key));
    const used = this.groups.sizes.reduce((sum, size) => sum + (size > 0 ? 1 : 0), 0);
    setText(
      byId('cluster-readout'),
      `Position ${labelOf(this.input, this.position)} is one of ${count(members)} in cluster ${cluster} of ${used}.` +
        (keys.length ? ` Its ${keys.length} top keys include ${some.join(', ')}.` : ' No top keys are taken.'),
    );
  }

  private drawClusters(): void {
    if (!this.groups) return;
    const canvas = byId<HTMLCanvasElement>('clusters');
    const context = prepareCanvas(canvas);
    const { clusters } = this.groups;
    columns(canvas.width, clusters.length, (column, first) => {
      context.fillStyle = css(clusterColour(clusters[first]));
      context.fillRect(column, 0, 1, canvas.height);
    });
  }

  private drawMarks(): void {
    const canvas = byId<HTMLCanvasElement>('marks');
    const context = prepareCanvas(canvas);
    if (!this.groups || !this.input) return;
    const { length } = this.input.shape;
    const cluster = this.groups.clusters[this.position];
    const wide = canvas.width / length;
    const half = canvas.height / 2;
    // Above, the cluster's members; below, its top keys.
    context.fillStyle = css(clusterColour(cluster));
    this.groups.clusters.forEach((other, position) => {
      if (other === cluster) context.fillRect(position * wide, 0, Math.max(1, wide), half - 1);
    });
    context.fillStyle = themeColour('--mark');
    for (const key of this.groups.topKeys(cluster)) context.fillRect(key * wide, half, Math.max(2, wide), half);
  }
}

/** Calls with the positions that a column of pixels stands for. */
function columns(width: number, length: number, draw: (column: number, first: number, last: number) => void): void {
  for (let column = 0; column < width; column += 1) {
    const first = Math.min(length - 1, Math.floor((column * length) / width));
    const last = Math.max(first, Math.ceil(((column + 1) * length) / width) - 1);
    draw(column, first, Math.min(length - 1, last));
  }
}

function drawHeat(canvas: HTMLCanvasElement, weights: Float32Array, largest: number, scale: Scale): void {
  const context = prepareCanvas(canvas);
  const base = ground();
  const dark = isDark();
  columns(canvas.width, weights.length, (column, first, last) => {
    // The largest of a column's weights: a mean would hide a single key among many.
    let weight = 0;
    for (let position = first; position <= last; position += 1) weight = Math.max(weight, weights[position]);
    context.fillStyle = css(heat(intensity(weight, largest, scale), dark, base));
    context.fillRect(column, 0, 1, canvas.height);
  });
}
