import { byId } from './dom.js';
import type { View } from './products.js';
import type { Input } from './sources.js';
import type { State } from './state.js';
import { paintLegend } from './views/legend.js';
import { MatrixView, type MatrixFacts } from './views/matrix.js';
import type { Pick } from './views/pick.js';
import { RowChart, type MethodRows } from './views/rows.js';
import { SpeechView } from './views/speech.js';
import { TextView } from './views/text.js';
import { Tracks, type HeadGroups } from './views/tracks.js';

/** All views of the present position, kept in step with each other. */
export class Stage {
  private readonly text: TextView;
  private readonly speech: SpeechView;
  private readonly tracks: Tracks;
  private readonly matrix: MatrixView;
  private readonly chart = new RowChart();
  private input: Input | undefined;
  private rows: MethodRows | undefined;
  private groups: HeadGroups | undefined;
  private position = 0;

  constructor(
    pick: Pick,
    private readonly state: () => State,
  ) {
    this.text = new TextView(pick);
    this.speech = new SpeechView(pick);
    this.tracks = new Tracks(pick);
    this.matrix = new MatrixView(pick);
    paintLegend();
    new ResizeObserver(() => {
      this.speech.redraw();
      this.tracks.redraw();
      this.showWeights();
    }).observe(byId('tracks'));
  }

  showInput(input: Input): void {
    this.input = input;
    this.rows = undefined;
    this.groups = undefined;
    byId('stage-empty').hidden = true;
    this.matrix.clear();
    this.text.showInput(input);
    this.speech.showInput(input);
    this.tracks.showInput(input);
  }

  /** `kept` tells a position that was chosen from one that is only pointed at. */
  showPosition(position: number, kept: boolean): void {
    if (!this.input || position < 0) return;
    this.position = position;
    this.text.showPosition(position, kept);
    this.speech.showPosition(position);
    this.tracks.showPosition(position);
    this.matrix.showPosition(position, this.input.shape.length);
  }

  showRows(view: View, rows: MethodRows): void {
    this.rows = rows;
    this.showRow(view, rows);
    this.showWeights();
  }

  /** Only in the chart. */
  showRow(view: View, rows: MethodRows): void {
    this.chart.show({ ...view, rows, topKeys: this.topKeys(view.position) }, this.state().scale);
  }

  showGroups(groups: HeadGroups): void {
    this.groups = groups;
    this.text.showGroups(groups);
    this.tracks.showGroups(groups);
    this.chart.showTopKeys(this.topKeys(this.position));
  }

  showMatrix(facts: MatrixFacts | 'too long'): void {
    if (facts === 'too long') this.matrix.showTooLong();
    else this.matrix.show(facts, this.state().scale);
  }

  /** Another scale, method or overlay for what is there already. */
  restyle(scaleChanged: boolean): void {
    if (scaleChanged) this.matrix.rescale(this.state().scale);
    this.showWeights();
  }

  /** In another theme's colours. */
  redraw(): void {
    paintLegend();
    this.speech.redraw();
    this.tracks.redraw();
    this.showWeights();
    this.chart.rebuild();
  }

  private topKeys(position: number): number[] {
    return this.groups ? this.groups.topKeys(this.groups.clusters[position]) : [];
  }

  private showWeights(): void {
    const { rows } = this;
    if (!rows || !this.input || rows.exact.length !== this.input.shape.length) return;
    const { heat, method, scale } = this.state();
    const weights = heat === 'exact' ? rows.exact : rows[method];
    this.text.showWeights(weights, scale);
    this.speech.showWeights(weights, scale);
    this.tracks.showWeights(rows.exact, rows[method], scale);
    this.chart.setScale(scale);
  }
}
