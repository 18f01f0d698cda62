import type { Backend, Guard, MethodName, Settings, Space } from '../npm/index.js';
import type { Scale } from './colours.js';

export type SourceName = 'speech' | 'text' | 'file';
export type Approximation = Exclude<MethodName, 'exact'>;
/** The page leaves none out. */
export type AllSettings = Required<Settings>;

/** What an address describes: everything a shared view needs but the visitor's own file. */
export interface State {
  source: SourceName;
  head: number;
  position: number;
  /** The method that pictures set beside exact attention. */
  method: Approximation;
  /** Whose weights are laid over the words or the spectrogram. */
  heat: 'exact' | 'method';
  scale: Scale;
  backend: Backend;
  settings: AllSettings;
}

export const SPACES: readonly Space[] = ['metric', 'hamming'];
export const GUARDS: readonly Guard[] = ['off', 'report', 'recompute'];
export const METHODS: readonly MethodName[] = ['exact', 'clustered', 'improved', 'stitched'];
export const APPROXIMATIONS: readonly Approximation[] = ['clustered', 'improved', 'stitched'];

/** The same as the package's preset 'stitched', for the moment before the package is there. */
const START: State = {
  // The longest of what is shipped: long sequences are what this is about.
  source: 'speech',
  head: 0,
  position: 0,
  method: 'stitched',
  heat: 'method',
  scale: 'log',
  backend: 'auto',
  settings: {
    clusters: 25,
    topK: 64,
    window: 16,
    keyGroups: 16,
    guard: 'off',
    space: 'metric',
    samples: 384,
    iterations: 4,
    bits: 63,
    euclideanSteps: 2,
    center: true,
    bias: false,
    seed: 0,
  },
};

const LARGEST_SEED = 0xffffffff;
const LARGEST_SAMPLE = 65_536;

function oneOf<T extends string>(text: string | null, choices: readonly T[], otherwise: T): T {
  return choices.find((choice) => choice === text) ?? otherwise;
}

/** A whole number from an address, which may hold anything. */
function wholeNumber(text: string | null, least: number, largest: number, otherwise: number): number {
  if (text === null || !/^\d{1,10}$/.test(text)) return otherwise;
  return Math.min(largest, Math.max(least, Number(text)));
}

function flag(text: string | null, otherwise: boolean): boolean {
  return text === '1' ? true : text === '0' ? false : otherwise;
}

/** Reads the address; what it leaves out or gets wrong is as on a first visit. */
export function readAddress(): State {
  const hash = new URLSearchParams(location.hash.slice(1));
  const query = new URLSearchParams(location.search);
  const { settings } = START;
  const number = (name: keyof AllSettings, least: number, otherwise: number): number =>
    wholeNumber(hash.get(name), least, 1_000_000, otherwise);
  return {
    source: oneOf(hash.get('source'), ['speech', 'text', 'file'], START.source),
    head: wholeNumber(hash.get('head'), 0, 1_000_000, START.head),
    position: wholeNumber(hash.get('position'), 0, 100_000_000, -1),
    method: oneOf(hash.get('method'), APPROXIMATIONS, START.method),
    heat: oneOf(hash.get('heat'), ['exact', 'method'], START.heat),
    scale: oneOf(hash.get('scale'), ['log', 'linear'], START.scale),
    backend: oneOf(hash.get('backend') ?? query.get('backend'), ['auto', 'gpu', 'cpu'], START.backend),
    settings: {
      clusters: number('clusters', 1, settings.clusters),
      topK: number('topK', 0, settings.topK),
      window: hash.get('window') === 'off' ? null : number('window', 0, settings.window as number),
      keyGroups: number('keyGroups', 0, settings.keyGroups),
      guard: oneOf(hash.get('guard'), GUARDS, settings.guard),
      space: oneOf(hash.get('space'), SPACES, settings.space),
      samples: wholeNumber(hash.get('samples'), 1, LARGEST_SAMPLE, settings.samples),
      iterations: number('iterations', 1, settings.iterations),
      bits: number('bits', 1, settings.bits),
      euclideanSteps: number('euclideanSteps', 0, settings.euclideanSteps),
      center: flag(hash.get('center'), settings.center),
      bias: flag(hash.get('bias'), settings.bias),
      seed: wholeNumber(hash.get('seed'), 0, LARGEST_SEED, settings.seed),
    },
  };
}

export function writeHash(state: State): string {
  const { settings, ...rest } = state;
  const fields: Record<string, string> = {};
  for (const [name, value] of Object.entries(rest)) fields[name] = String(value);
  // No position was chosen yet: the page chooses one.
  if (state.position < 0) delete fields.position;
  for (const [name, value] of Object.entries(settings)) {
    fields[name] = value === null ? 'off' : typeof value === 'boolean' ? (value ? '1' : '0') : String(value);
  }
  return '#' + new URLSearchParams(fields).toString();
}

export type Step = 'push' | 'replace';

/** The state and its address. Steps that a visitor would want to undo are pushed; dragging replaces, and not too often. */
export class Store {
  private present: State = readAddress();
  private readonly listeners: ((state: State, before: State) => void)[] = [];
  private timer = 0;
  private written = writeHash(this.present);

  constructor() {
    const fromAddress = (): void => {
      const read = readAddress();
      if (writeHash(read) === writeHash(this.present)) return;
      window.clearTimeout(this.timer);
      this.timer = 0;
      this.apply(read);
      this.written = writeHash(this.present);
    };
    window.addEventListener('popstate', fromAddress);
    window.addEventListener('hashchange', fromAddress);
  }

  get state(): State {
    return this.present;
  }

  subscribe(listener: (state: State, before: State) => void): void {
    this.listeners.push(listener);
  }

  set(change: Partial<State>, step: Step): void {
    // What a drag ended with belongs to the entry that is left.
    if (step === 'push' && this.timer) this.write('replace');
    this.apply({ ...this.present, ...change });
    window.clearTimeout(this.timer);
    if (step === 'push') this.write('push');
    // Browsers limit how often an address may change.
    else this.timer = window.setTimeout(() => this.write('replace'), 300);
  }

  setSettings(change: Partial<AllSettings>, step: Step): void {
    this.set({ settings: { ...this.present.settings, ...change } }, step);
  }

  /** Without a trace in the address: what the page itself had to correct. */
  correct(change: Partial<State>): void {
    this.apply({ ...this.present, ...change });
  }

  /** As `correct`, for a listener that goes on with the corrected state itself. */
  adjust(state: State): void {
    this.present = state;
  }

  link(): string {
    return new URL(writeHash(this.present), location.href).href;
  }

  private apply(state: State): void {
    const before = this.present;
    this.present = state;
    for (const listener of this.listeners) listener(state, before);
  }

  private write(step: Step): void {
    this.timer = 0;
    const hash = writeHash(this.present);
    if (hash === this.written && step === 'push') {
      history.replaceState(null, '', hash);
      return;
    }
    if (step === 'push') history.pushState(null, '', hash);
    else history.replaceState(null, '', hash);
    this.written = hash;
  }
}
