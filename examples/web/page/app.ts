import { Conductor } from './conductor.js';
import { announce, byId, confirmOn, copyText, setText } from './dom.js';
import { Engine, messageOf, sentenceOf } from './engine.js';
import { capitalised, count } from './format.js';
import { cannotRun, LOST, NO_FILE, TWIN } from './messages.js';
import { makeProducts, type View } from './products.js';
import { ownFile, shipped, type Input, type Material } from './sources.js';
import { Stage } from './stage.js';
import { Store, type SourceName, type State, type Step } from './state.js';
import { startTheme } from './theme.js';
import { Cards } from './views/cards.js';
import { Controls } from './views/controls.js';
import { Notice } from './views/notice.js';
import type { Pick } from './views/pick.js';
import { showProgress } from './views/progress.js';
import { RaceView } from './views/race.js';
import { Toolbar } from './views/toolbar.js';
import { hideTooltip } from './views/tooltip.js';
import { visitPositions, type Slowest, type Visit } from './visit.js';
import type { Opened } from './worker.js';

type AppState = 'loading' | 'ready' | 'busy' | 'error' | 'lost';

/** Where a first visit looks: somewhere in the middle of things. */
const FIRST_POSITION: Record<SourceName, (length: number) => number> = {
  text: () => 75,
  speech: () => 675,
  file: (length) => Math.floor(length / 2),
};
/** How long a control has to rest before its value is computed with. */
const REST_MILLISECONDS = 120;

function hasWebGpu(): boolean {
  return 'gpu' in navigator;
}

/** Joins state, worker and views. */
export class App {
  private readonly store = new Store();
  private readonly pick: Pick;
  private readonly stage: Stage;
  private readonly cards = new Cards();
  private readonly race: RaceView;
  private readonly controls: Controls;
  private readonly toolbar: Toolbar;
  private readonly notice: Notice;
  private readonly conductor: Conductor;

  private engine = new Engine();
  private opened: Opened | undefined;
  private input: Input | undefined;
  private file: Material | undefined;
  private generation = 0;
  private loading = 0;
  private hovered: number | undefined;
  private settings = this.store.state.settings;
  private rest = 0;
  private failed = false;

  constructor() {
    this.pick = {
      hover: (position) => this.hover(position),
      keep: (position, step) => this.keep(position, step),
      present: () => this.store.state.position,
      length: () => this.input?.shape.length ?? 1,
    };
    this.stage = new Stage(this.pick, () => this.store.state);
    this.race = new RaceView(() => this.store.state, () => this.input);
    this.controls = new Controls((change, step) => this.store.setSettings(change, step));
    this.notice = new Notice(
      () => void this.start(),
      () => this.store.set({ backend: 'cpu' }, 'push'),
    );
    this.toolbar = new Toolbar({
      change: (change, step) => this.store.set(change, step),
      source: (source) => {
        if (source !== this.store.state.source || source !== this.input?.source) this.store.set({ source, head: 0, position: -1 }, 'push');
      },
      file: (file) => void this.takeFile(file),
    });
    const products = makeProducts({
      view: () => this.view(),
      engine: () => this.engine,
      rows: (view, rows) => this.stage.showRows(view, rows),
      groups: (_, groups) => this.stage.showGroups(groups),
      measuring: (method) => this.cards.markStale(method),
      measured: (method, measurement) => this.cards.show(method, measurement),
      untimed: (method) => this.cards.showUntimed(method),
      matrix: (facts) => this.stage.showMatrix(facts),
      noMatrix: () => this.stage.showMatrix('too long'),
    });
    this.conductor = new Conductor(
      products,
      {
        busy: (product) => this.showBusy(product),
        failed: (product, message) => {
          this.failed = true;
          this.notice.show(`computing ${product}`, `Computing ${product} failed. ${message}`, 'warning');
        },
        computed: (product) => this.notice.hideComputing(product),
        lost: () => this.showLost(),
      },
      () => this.engine.remote.lost(),
    );
    this.store.subscribe((state, before) => this.follow(state, before));
    startTheme(() => this.redraw());
    this.listen();
    this.controls.show(this.store.state.settings);
    this.toolbar.show(this.store.state);
  }

  /** Opens a worker with the back end that the address asks for, and gives it the input; also after a loss. */
  async start(): Promise<void> {
    this.conductor.stop();
    this.engine.end();
    const engine = (this.engine = new Engine());
    this.opened = undefined;
    this.failed = false;
    this.setState('loading');
    this.notice.hide();
    setText(byId('adapter'), 'Looking for a GPU…');
    const { backend } = this.store.state;
    // Fetched while the worker starts; errors are told where it is awaited.
    if (this.store.state.source !== 'file') shipped(this.store.state.source, showProgress).catch(() => undefined);
    try {
      const opened = await engine.open(backend);
      if (engine !== this.engine) return;
      this.opened = opened;
    } catch (error) {
      if (engine === this.engine) this.showNoEngine(messageOf(error), backend !== 'cpu');
      return;
    }
    const { opened } = this;
    const { fallbackReason } = opened;
    setText(byId('adapter'), fallbackReason ? `${opened.adapter} (${hasWebGpu() ? 'no real GPU' : 'no WebGPU'})` : opened.adapter);
    byId('adapter').parentElement!.dataset.backend = opened.backend;
    const other = byId('backend');
    other.hidden = opened.backend === 'cpu' && !hasWebGpu();
    setText(other, opened.backend === 'gpu' ? 'Use the CPU instead' : 'Use the GPU instead');
    if (fallbackReason) this.notice.show('the device', `${capitalised(fallbackReason)}, ${TWIN}`, 'plain');
    this.showPresets(this.store.state);
    await this.loadSource(this.store.state.source);
  }

  /** Instead of `start`, where the browser lacks what the page needs. */
  refuse(lack: string): void {
    this.setState('error');
    setText(byId('adapter'), 'Not available');
    setText(byId('status'), '');
    setText(byId('stage-empty'), 'Nothing can be computed here.');
    this.notice.show('the device', cannotRun(lack), 'warning');
  }

  /** What a driver's reset does to the page, for tests. */
  async loseDevice(): Promise<void> {
    await this.engine.remote.dispose();
    await this.isLost();
  }

  /** Draws positions of the present head in the chart, for tests. */
  async visitPositions(visit: Visit): Promise<Slowest> {
    const view = this.view();
    if (!view) throw new Error('there is no input yet');
    return visitPositions(this.engine, view, (visited, rows) => this.stage.showRow(visited, rows), visit);
  }

  private async loadSource(source: SourceName): Promise<void> {
    if (!this.opened) return;
    const loading = (this.loading += 1);
    this.setState(this.input ? 'busy' : 'loading');
    this.toolbar.showError('');
    try {
      let material = this.file;
      if (source !== 'file') material = await shipped(source, showProgress);
      showProgress(undefined);
      if (loading !== this.loading) return;
      if (!material) return this.askForFile();
      await this.give(material, loading);
    } catch (error) {
      showProgress(undefined);
      if ((await this.isLost()) || loading !== this.loading) return;
      this.failed = true;
      setText(byId('stage-empty'), 'Nothing could be loaded.');
      this.notice.show('the input', sentenceOf(error), 'warning', { runAgain: true });
      this.setState('error');
    }
  }

  /** A link holds the view of a file, but not the file; until it is opened, its head, position and settings wait. */
  private askForFile(): void {
    if (this.input) this.store.correct({ source: this.input.source });
    else setText(byId('stage-empty'), NO_FILE);
    this.toolbar.showError(NO_FILE);
    this.showBusy(undefined);
  }

  private async takeFile(file: File): Promise<void> {
    if (!this.opened) return;
    const loading = (this.loading += 1);
    this.toolbar.showError('');
    setText(byId('status'), `Reading ${file.name}…`);
    const isAwaited = !this.input && this.store.state.source === 'file';
    try {
      const material = await ownFile(file);
      if (loading !== this.loading) return;
      await this.give(material, loading);
      if (loading !== this.loading) return;
      this.file = material;
      // The input is there already, so that the change of source has nothing to load.
      if (!isAwaited) this.store.set({ source: 'file', head: 0, position: -1 }, 'push');
    } catch (error) {
      if ((await this.isLost()) || loading !== this.loading) return;
      this.toolbar.showError(`${file.name}: ${messageOf(error)}`);
      this.toolbar.show(this.store.state);
      this.conductor.wake();
      this.showBusy(undefined);
    }
  }

  /** Hands the worker an input and shows it; if it is refused, everything stays as it was. */
  private async give(material: Material, loading: number): Promise<void> {
    const engine = this.engine;
    const loaded = await engine.remote.setSafetensors(material.bytes);
    if (engine !== this.engine || loading !== this.loading) return;
    this.generation += 1;
    this.input = { ...material, ...loaded, generation: this.generation };
    this.hovered = undefined;
    this.failed = false;
    this.notice.hideInput();
    const { input } = this;
    this.cards.clear();
    this.toolbar.showInput(input);
    this.stage.showInput(input);
    this.controls.showLimits(input.limits);
    if (material.source === this.store.state.source) this.store.correct({});
    this.settings = this.store.state.settings;
    this.conductor.restart();
  }

  /** Brings views in line with a new state. */
  private follow(wished: State, before: State): void {
    const state = this.fit(wished);
    this.store.adjust(state);
    this.toolbar.show(state);
    this.controls.show(state.settings);
    this.showPresets(state);
    if (state.backend !== before.backend) {
      void this.start();
      return;
    }
    if (state.source !== this.input?.source && state.source !== before.source) {
      void this.loadSource(state.source);
      return;
    }
    this.showPosition();
    const scaleChanged = state.scale !== before.scale;
    if (scaleChanged || state.heat !== before.heat || state.method !== before.method) this.stage.restyle(scaleChanged);
    window.clearTimeout(this.rest);
    const settled = ['ready', 'error'].includes(byId('app').dataset.state ?? '');
    if (settled && state.settings !== this.settings) this.setState('busy');
    this.rest = window.setTimeout(() => {
      this.rest = 0;
      this.settings = this.store.state.settings;
      this.wake();
    }, state.settings === this.settings ? 0 : REST_MILLISECONDS);
  }

  /** A preset's settings, with the visitor's seed, and the method that it is for. */
  private takePreset(name: 'paper' | 'stitched'): void {
    const preset = this.opened?.presets[name];
    if (!preset) return;
    const { seed } = this.store.state.settings;
    this.store.set({ settings: { ...preset, seed }, method: name === 'paper' ? 'improved' : 'stitched' }, 'push');
  }

  private showPresets({ settings }: State): void {
    for (const name of ['paper', 'stitched'] as const) {
      const preset = this.opened?.presets[name];
      const names = Object.keys(settings) as (keyof typeof settings)[];
      const isOn = preset !== undefined && names.every((key) => key === 'seed' || settings[key] === preset[key]);
      byId(`preset-${name}`).setAttribute('aria-pressed', String(isOn));
    }
  }

  /** A state that the present input can show; the same object if it already is one. */
  private fit(state: State): State {
    if (!this.input || state.source !== this.input.source) return state;
    const { shape, limits, source } = this.input;
    const head = Math.min(state.head, shape.heads - 1);
    const wished = state.position < 0 ? FIRST_POSITION[source](shape.length) : state.position;
    const position = Math.min(wished, shape.length - 1);
    const settings = Controls.fit(state.settings, limits);
    if (head === state.head && position === state.position && settings === state.settings) return state;
    return { ...state, head, position, settings };
  }

  private view(): View | undefined {
    const { state } = this.store;
    if (!this.input || !this.opened || state.position < 0 || this.input.source !== state.source) return undefined;
    return { input: this.input, head: state.head, position: this.position(), method: state.method, settings: this.settings };
  }

  private position(): number {
    return this.hovered ?? this.store.state.position;
  }

  private hover(position: number | undefined): void {
    if (position === this.hovered || !this.input) return;
    this.hovered = position;
    this.showPosition();
    this.wake();
  }

  private keep(position: number, step: Step): void {
    this.hovered = undefined;
    if (position !== this.store.state.position) this.store.set({ position }, step);
    this.showPosition();
    this.wake();
  }

  private wake(): void {
    this.failed = false;
    this.conductor.wake();
  }

  private showPosition(): void {
    this.stage.showPosition(this.position(), this.hovered === undefined);
  }

  private redraw(): void {
    this.stage.redraw();
    this.race.redraw();
  }

  private showBusy(product: string | undefined): void {
    if (product) {
      this.setState('busy');
      setText(byId('status'), `Computing ${product}…`);
      return;
    }
    // A control that was just moved is still to be computed with.
    if (!this.rest) this.setState(this.failed ? 'error' : 'ready');
    const { input } = this;
    setText(byId('status'), input ? `${count(input.shape.heads)} heads · ${count(input.shape.length)} positions` : '');
  }

  /** Whether the device is gone; if so, the page says it. */
  private async isLost(): Promise<boolean> {
    const engine = this.engine;
    const lost = await engine.remote.lost();
    if (lost && engine === this.engine) this.showLost();
    return lost;
  }

  private showLost(): void {
    this.conductor.stop();
    this.setState('lost');
    setText(byId('status'), 'The device was lost');
    this.notice.show('the device', LOST, 'warning', { runAgain: true });
  }

  private showNoEngine(message: string, offerCpu: boolean): void {
    this.setState('error');
    setText(byId('adapter'), 'No device');
    setText(byId('status'), '');
    this.notice.show('the device', `The device could not be opened. ${message}`, 'warning', { runAgain: true, useCpu: offerCpu });
  }

  private setState(state: AppState): void {
    byId('app').dataset.state = state;
  }

  private listen(): void {
    byId('preset-paper').addEventListener('click', () => this.takePreset('paper'));
    byId('preset-stitched').addEventListener('click', () => this.takePreset('stitched'));
    byId('backend').addEventListener('click', () => {
      this.store.set({ backend: this.opened?.backend === 'gpu' ? 'cpu' : 'gpu' }, 'push');
    });
    const copy = byId<HTMLButtonElement>('copy-link');
    copy.addEventListener('click', () => {
      void copyText(this.store.link()).then((copied) => {
        confirmOn(copy, copied);
        announce(copied ? 'The link is copied.' : 'Copying was refused.');
      });
    });
    window.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      hideTooltip();
      this.hover(undefined);
    });
    // A device can be lost while nobody asks it anything.
    window.setInterval(() => {
      const idle = byId('app').dataset.state === 'ready' && document.visibilityState === 'visible';
      if (!idle) return;
      void this.isLost();
    }, 2000);
  }
}
