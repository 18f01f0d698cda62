import type { InputShape, MethodName } from '../../npm/index.js';
import { announce, byId, confirmOn, copyText, element, setText } from '../dom.js';
import { sentenceOf } from '../engine.js';
import { count, fraction, milliseconds, times } from '../format.js';
import { asCsv, lengthsUpTo, Race, SYNTHETIC, type RacePlan, type RacePoint } from '../race-run.js';
import type { Input } from '../sources.js';
import { METHODS, type State } from '../state.js';
import { RaceCharts } from './race-charts.js';
import { lineSample } from './series.js';

const LONGEST = [2048, 4096, 8192, 16384, 32768, 65536] as const;

const MARKUP = `
  <div class="panel-head"><h2 id="race-title">Race: the same work at growing length</h2></div>
  <p class="hint">Exact attention takes four times as long when the length doubles; the others take twice as long. Their error grows too
    unless clusters are added, so both are drawn. The race runs apart from everything else on this page, with the settings above.</p>
  <div class="race-controls">
    <label class="field">Input
      <select id="race-input" data-testid="race-input"></select>
    </label>
    <label class="field">Up to
      <select id="race-longest" data-testid="race-longest"></select>
    </label>
    <button type="button" class="primary" id="race-start" data-testid="race-start">Start the race</button>
    <button type="button" id="race-cancel" data-testid="race-cancel" disabled>Cancel</button>
    <button type="button" class="quiet copy-csv" id="race-csv" data-testid="race-csv" disabled>Copy as CSV</button>
  </div>
  <div class="race-progress" role="progressbar" aria-label="Race" aria-valuemin="0" aria-valuemax="100" id="race-progress"><span></span></div>
  <p class="readout" id="race-status" data-testid="race-status" role="status">Not started.</p>
  <div class="legend" id="race-legend"></div>
  <div class="race-charts">
    <figure><figcaption>Time of a call, all heads</figcaption><div class="race-chart" id="race-time" role="img" aria-label="Time of a call against length, by each method" aria-describedby="race-summary"></div></figure>
    <figure><figcaption>Relative error</figcaption><div class="race-chart" id="race-error" role="img" aria-label="Relative error against length, by each approximation" aria-describedby="race-summary"></div></figure>
  </div>
  <p class="summary" id="race-summary" data-testid="race-summary">&nbsp;</p>
  <div class="table-frame" tabindex="0" role="group" aria-label="Measurements of the race">
    <table>
      <thead><tr><th scope="col">Length</th><th scope="col">Method</th><th scope="col">Time</th><th scope="col">Speed-up</th><th scope="col">Error</th><th scope="col">Worst row</th></tr></thead>
      <tbody id="race-rows"><tr class="placeholder"><td colspan="6">Measurements appear here as they are made.</td></tr></tbody>
    </table>
  </div>`;

/** The race's part of the page. */
export class RaceView {
  private readonly charts: RaceCharts;
  private race: Race | undefined;
  private points: RacePoint[] = [];
  private remarks: string[] = [];
  private plan: RacePlan | undefined;
  private adapter = '';
  private inputName = '';

  constructor(
    private readonly state: () => State,
    private readonly input: () => Input | undefined,
  ) {
    byId('race').innerHTML = MARKUP;
    const inputChoice = byId<HTMLSelectElement>('race-input');
    inputChoice.append(
      ...SYNTHETIC.heads.map((heads) => new Option(`synthetic, ${heads} ${heads === 1 ? 'head' : 'heads'} of width ${SYNTHETIC.width}`, String(heads))),
      new Option('the present input, lengthened', 'tiled'),
    );
    const longest = byId<HTMLSelectElement>('race-longest');
    for (const length of LONGEST) longest.append(new Option(`${count(length)} positions`, String(length), length === 16384, length === 16384));
    byId('race-legend').replaceChildren(...METHODS.map((method) => element('span', 'legend-item', lineSample(method), method)));
    this.charts = new RaceCharts(byId('race-time'), byId('race-error'));
    this.redraw();
    byId('race-start').addEventListener('click', () => void this.start());
    byId('race-cancel').addEventListener('click', () => this.race?.cancel());
    const csv = byId<HTMLButtonElement>('race-csv');
    csv.addEventListener('click', () => {
      if (!this.plan) return;
      const text = asCsv(this.points, this.plan, this.adapter, this.inputName);
      void copyText(text).then((copied) => confirmOn(csv, copied));
    });
  }

  redraw(): void {
    this.charts.draw(this.points, lengthsUpTo(this.plan?.longest ?? this.longest()));
  }

  private longest(): number {
    return Number(byId<HTMLSelectElement>('race-longest').value);
  }

  private async start(): Promise<void> {
    if (this.race) return;
    const { settings, backend } = this.state();
    const input = this.input();
    const chosen = byId<HTMLSelectElement>('race-input').value;
    const tiled = chosen === 'tiled' && input;
    const synthetic: InputShape = { heads: Number(chosen) || SYNTHETIC.heads[0], length: 512, width: SYNTHETIC.width, valueWidth: SYNTHETIC.width };
    this.plan = {
      backend,
      settings,
      longest: this.longest(),
      bytes: tiled ? input.bytes : undefined,
      shape: tiled ? input.shape : synthetic,
    };
    this.inputName = tiled ? input.title : 'synthetic';
    this.points = [];
    this.remarks = [];
    byId('race-rows').replaceChildren();
    setText(byId('race-summary'), ' ');
    this.redraw();
    this.setRunning(true);
    setText(byId('race-status'), 'Opening a device for the race…');
    this.race = new Race(this.plan, {
      started: (adapter) => (this.adapter = adapter),
      measuring: (length, method, share) => {
        this.showProgress(share);
        setText(byId('race-status'), `${count(length)} positions: ${method} on ${this.adapter}…`);
      },
      measured: (point) => this.add(point),
      remark: (text) => this.remarks.push(text),
    });
    let outcome: string;
    try {
      const finished = await this.race.run();
      outcome = finished ? `Finished on ${this.adapter}.` : 'Cancelled.';
      if (finished) this.showProgress(1);
    } catch (error) {
      outcome = `The race ended early. ${sentenceOf(error)}`;
    }
    this.race = undefined;
    this.setRunning(false);
    setText(byId('race-status'), [outcome, ...this.remarks].join(' '));
    announce(`${outcome} ${byId('race-summary').textContent ?? ''}`);
  }

  private setRunning(running: boolean): void {
    byId<HTMLButtonElement>('race-start').disabled = running;
    byId<HTMLButtonElement>('race-cancel').disabled = !running;
    byId('race').dataset.running = String(running);
    if (running) this.showProgress(0);
  }

  private showProgress(share: number): void {
    const bar = byId('race-progress');
    bar.setAttribute('aria-valuenow', String(Math.round(share * 100)));
    (bar.firstElementChild as HTMLElement).style.transform = `scaleX(${share})`;
  }

  private add(point: RacePoint): void {
    this.points.push(point);
    byId<HTMLButtonElement>('race-csv').disabled = false;
    const { length, method, measurement } = point;
    const exact = this.find(length, 'exact');
    const speedUp = exact ? times(exact.measurement.milliseconds / measurement.milliseconds) : '–';
    const row = element('tr');
    row.dataset.testid = 'race-row';
    row.dataset.length = String(length);
    row.dataset.method = method;
    row.dataset.milliseconds = String(measurement.milliseconds);
    row.dataset.error = String(measurement.relativeError);
    const cells = [
      count(length), method, milliseconds(measurement.milliseconds), speedUp,
      fraction(measurement.relativeError), fraction(measurement.worstRowError),
    ];
    row.append(...cells.map((text) => element('td', '', text)));
    byId('race-rows').append(row);
    this.redraw();
    this.summarise();
  }

  private find(length: number, method: MethodName): RacePoint | undefined {
    return this.points.find((point) => point.length === length && point.method === method);
  }

  /** The two charts in a sentence. */
  private summarise(): void {
    const sentences: string[] = [];
    const compared = this.points.filter(({ length, method }) => method === 'stitched' && this.find(length, 'exact'));
    const last = compared[compared.length - 1];
    const exact = last && this.find(last.length, 'exact');
    if (last && exact) {
      const [slow, fast] = [exact.measurement.milliseconds, last.measurement.milliseconds];
      sentences.push(
        `At ${count(last.length)} positions exact attention took ${milliseconds(slow)}, stitched ${milliseconds(fast)}: ` +
          `${times(slow / fast)} its speed, with relative error ${fraction(last.measurement.relativeError)}.`,
      );
    }
    const longest = this.points.filter((point) => point.method === 'stitched').pop();
    if (longest && longest !== last) {
      const { milliseconds: time, relativeError } = longest.measurement;
      sentences.push(`At ${count(longest.length)} stitched took ${milliseconds(time)}, with error ${fraction(relativeError)} on sampled rows.`);
    }
    if (sentences.length) setText(byId('race-summary'), sentences.join(' '));
  }
}
