import type { Guard, Limits, Space } from '../../npm/index.js';
import { byId, element, setText } from '../dom.js';
import { count } from '../format.js';
import { GUARDS, SPACES, type AllSettings, type Step } from '../state.js';
import { nearestStop, stopsOf } from './stops.js';

type Slider = 'clusters' | 'topK' | 'window' | 'keyGroups' | 'iterations' | CodeSlider;
type CodeSlider = 'bits' | 'euclideanSteps';

interface SliderText {
  name: Slider;
  label: string;
  help: string;
  least: number;
  /** Up to here the slider has every number, beyond in steps that grow. */
  fineEnd: number;
}

const SLIDERS: readonly SliderText[] = [
  { name: 'clusters', label: 'Clusters', least: 1, fineEnd: 256, help: 'How many groups the queries of a head are put into; more are closer to exact and slower.' },
  { name: 'topK', label: 'Top keys', least: 0, fineEnd: 256, help: 'How many of its cluster’s strongest keys each query computes exactly.' },
  { name: 'window', label: 'Window', least: -1, fineEnd: 128, help: 'How many neighbours on either side each query computes exactly; only stitched attention uses it.' },
  { name: 'keyGroups', label: 'Key groups', least: 0, fineEnd: 128, help: 'How many groups the other keys are put into, so that the cluster’s attention leans towards each query; only stitched attention uses them.' },
  { name: 'iterations', label: 'K-means iterations', least: 1, fineEnd: 30, help: 'How often clusters are re-formed from the hashes, or in the metric from a sample of the queries.' },
];

/** What only hash codes have; hidden where queries are grouped without them. */
const CODE_SLIDERS: readonly SliderText[] = [
  { name: 'bits', label: 'Hash bits', least: 1, fineEnd: 128, help: 'Queries are compared by this many random signs; more tell them apart more finely.' },
  { name: 'euclideanSteps', label: 'Euclidean steps', least: 0, fineEnd: 8, help: 'Steps that then move queries to the truly nearest cluster mean.' },
];

const CODE_SWITCHES = [
  { name: 'center', label: 'Centring', help: 'Subtracts the mean query before hashing, so that the signs tell queries apart.' },
  { name: 'bias', label: 'Hash bias', help: 'Random thresholds for the signs, as in the paper; without effect while centring is on.' },
] as const;

const ALL_SLIDERS = [...SLIDERS, ...CODE_SLIDERS];

const SPACE_NAMES: Record<Space, string> = { metric: 'in the logits’ metric', hamming: 'by hash codes' };

const GUARD_NAMES: Record<Guard, string> = { off: 'off', report: 'measures heads', recompute: 'mends bad heads' };

const LARGEST_SEED = 0xffffffff;

type Change = (change: Partial<AllSettings>, step: Step) => void;

/** The settings of the approximations, each with a sentence; none can be moved beyond what input and adapter allow. */
export class Controls {
  private readonly inputs = new Map<keyof AllSettings, HTMLInputElement | HTMLSelectElement>();
  private readonly outputs = new Map<Slider, HTMLElement>();
  private readonly reasons = new Map<Slider, HTMLElement>();
  private readonly stops = new Map<Slider, number[]>();
  private limits: Limits | undefined;
  private settings: AllSettings | undefined;
  private readonly codes: HTMLElement;

  constructor(private readonly change: Change) {
    this.codes = element(
      'div',
      'codes',
      ...CODE_SLIDERS.map((slider) => this.buildSlider(slider)),
      ...CODE_SWITCHES.map(({ name, label, help }) => this.buildSwitch(name, label, help)),
    );
    const sliders = SLIDERS.map((slider) => this.buildSlider(slider));
    byId('controls').replaceChildren(...sliders, this.buildGuard(), this.buildSpace(), this.codes, this.buildSeed());
  }

  showLimits(limits: Limits): void {
    this.limits = limits;
    for (const { name, least, fineEnd } of ALL_SLIDERS) this.setStops(name, stopsOf(least, fineEnd, limits[name]));
    if (this.settings) this.show(this.settings);
  }

  show(settings: AllSettings): void {
    this.settings = settings;
    for (const slider of ALL_SLIDERS) this.showSlider(slider, settings[slider.name]);
    (this.inputs.get('guard') as HTMLSelectElement).value = settings.guard;
    (this.inputs.get('space') as HTMLSelectElement).value = settings.space;
    this.codes.hidden = settings.space !== 'hamming';
    for (const { name } of CODE_SWITCHES) (this.inputs.get(name) as HTMLInputElement).checked = settings[name];
    const seed = this.inputs.get('seed') as HTMLInputElement;
    if (document.activeElement !== seed) seed.value = String(settings.seed);
  }

  /** Settings that the present input and adapter allow, and the same object if they already are. */
  static fit(settings: AllSettings, limits: Limits): AllSettings {
    const fitted = { ...settings };
    let changed = false;
    for (const { name } of ALL_SLIDERS) {
      const value = fitted[name];
      if (value !== null && value > limits[name]) {
        fitted[name] = limits[name];
        changed = true;
      }
    }
    return changed ? fitted : settings;
  }

  private setStops(name: Slider, stops: number[]): void {
    this.stops.set(name, stops);
    const input = this.inputs.get(name) as HTMLInputElement;
    // Counted so that where each number has a stop, the slider stands at the number.
    input.max = String(Number(input.min) + stops.length - 1);
  }

  private showSlider(slider: SliderText, setting: number | null): void {
    const { name } = slider;
    const input = this.inputs.get(name) as HTMLInputElement;
    const value = setting ?? -1;
    const place = slider.least + nearestStop(this.stops.get(name) ?? [], value);
    input.value = String(place);
    const text = setting === null ? 'off' : count(value);
    input.setAttribute('aria-valuetext', text);
    input.style.setProperty('--filled', `${((place - slider.least) / (Number(input.max) - slider.least || 1)) * 100}%`);
    setText(this.outputs.get(name) as HTMLElement, text);
    setText(this.reasons.get(name) as HTMLElement, this.reason(slider, value));
  }

  private reason({ name }: SliderText, value: number): string {
    const limit = this.limits?.[name];
    return limit !== undefined && value >= limit ? `${count(limit)} is the most that this input and adapter allow.` : '';
  }

  private buildSlider(slider: SliderText): HTMLElement {
    const { name, label, help, least, fineEnd } = slider;
    const input = element('input');
    input.type = 'range';
    input.min = String(least);
    input.step = '1';
    const output = element('output', 'value', '–');
    const reason = element('span', 'reason');
    const read = (): number | null => {
      const value = this.stops.get(name)?.[Number(input.value) - least] ?? least;
      return value < 0 ? null : value;
    };
    // A drag is one step in the history, and so is a series of keys: its first value is pushed, those that follow replace it.
    let isMoving = false;
    for (const begin of ['pointerdown', 'blur'] as const) input.addEventListener(begin, () => (isMoving = false));
    for (const kind of ['input', 'change'] as const) {
      input.addEventListener(kind, () => {
        // A value that is shown already is no step; browsers tell the end of a drag once more.
        if (this.settings && read() === this.settings[name]) return;
        this.change({ [name]: read() }, isMoving ? 'replace' : 'push');
        isMoving = true;
      });
    }
    this.outputs.set(name, output);
    this.reasons.set(name, reason);
    const frame = this.frame(name, input, element('div', 'control-head', this.label(name, label), output), input, this.help(name, help, reason));
    this.setStops(name, stopsOf(least, fineEnd, fineEnd));
    return frame;
  }

  private buildSwitch(name: 'center' | 'bias', label: string, help: string): HTMLElement {
    const input = element('input', 'switch');
    input.type = 'checkbox';
    input.setAttribute('role', 'switch');
    input.addEventListener('change', () => this.change({ [name]: input.checked }, 'push'));
    return this.frame(name, input, element('div', 'control-head', this.label(name, label), input), this.help(name, help));
  }

  private buildSpace(): HTMLElement {
    const help = 'By how much queries differ for the keys, which is stitched attention’s way, or by random signs, which is the paper’s.';
    return this.buildChoice('space', 'Grouping', SPACES, SPACE_NAMES, help);
  }

  private buildGuard(): HTMLElement {
    const help = 'Eight rows of each head are computed exactly and compared; a head in error by more than 0.2 can be computed exactly. Stitched attention only.';
    return this.buildChoice('guard', 'Guard', GUARDS, GUARD_NAMES, help);
  }

  private buildChoice<T extends string>(
    name: 'space' | 'guard',
    label: string,
    choices: readonly T[],
    names: Record<T, string>,
    help: string,
  ): HTMLElement {
    const choice = element('select');
    choice.append(...choices.map((each) => new Option(names[each], each)));
    choice.addEventListener('change', () => this.change({ [name]: choice.value }, 'push'));
    return this.frame(name, choice, element('div', 'control-head', this.label(name, label), choice), this.help(name, help));
  }

  private buildSeed(): HTMLElement {
    const input = element('input', 'seed');
    input.type = 'number';
    input.min = '0';
    input.max = String(LARGEST_SEED);
    input.step = '1';
    input.addEventListener('input', () => {
      const seed = Number(input.value);
      const valid = input.value !== '' && Number.isInteger(seed) && seed >= 0 && seed <= LARGEST_SEED;
      input.setAttribute('aria-invalid', String(!valid));
      if (valid) this.change({ seed }, 'replace');
    });
    input.addEventListener('blur', () => {
      input.setAttribute('aria-invalid', 'false');
      if (this.settings) input.value = String(this.settings.seed);
    });
    const another = element('button', 'quiet', 'Another');
    another.type = 'button';
    another.dataset.testid = 'seed-another';
    another.addEventListener('click', () => this.change({ seed: Math.floor(Math.random() * 10_000) }, 'push'));
    const help = 'Everything random comes from it: the same seed gives the same result on every machine.';
    return this.frame('seed', input, element('div', 'control-head', this.label('seed', 'Seed'), input, another), this.help('seed', help));
  }

  private label(name: string, text: string): HTMLLabelElement {
    const label = element('label', '', text);
    label.htmlFor = `control-${name}`;
    return label;
  }

  private help(name: string, text: string, ...more: Node[]): HTMLElement {
    const help = element('p', 'help', text, ' ', ...more);
    help.id = `help-${name}`;
    return help;
  }

  private frame(name: keyof AllSettings, input: HTMLInputElement | HTMLSelectElement, ...children: Node[]): HTMLElement {
    input.id = `control-${name}`;
    input.dataset.testid = `control-${name}`;
    input.setAttribute('aria-describedby', `help-${name}`);
    this.inputs.set(name, input);
    return element('div', 'control', ...children);
  }
}
