import type { Backend, InputShape, MethodName } from '../npm/index.js';
import { Engine } from './engine.js';
import { RACE_LOST } from './messages.js';
import { APPROXIMATIONS, type AllSettings } from './state.js';
import type { Measurement } from './worker.js';

/** What everything is measured on, unless it is the visitor's input. */
export const SYNTHETIC = { width: 64, heads: [8, 1] } as const;
/** Exact attention is measured as long as a call takes less than this. */
export const PATIENCE_MILLISECONDS = 120_000;
const SHORTEST = 512;

export interface RacePlan {
  backend: Backend;
  settings: AllSettings;
  longest: number;
  /** The bytes of the present input, to be lengthened; undefined for synthetic input. */
  bytes: Uint8Array<ArrayBuffer> | undefined;
  shape: InputShape;
}

export interface RacePoint {
  length: number;
  method: MethodName;
  measurement: Measurement;
}

export interface RaceListener {
  started(adapter: string): void;
  measuring(length: number, method: MethodName, share: number): void;
  measured(point: RacePoint): void;
  remark(text: string): void;
}

export function lengthsUpTo(longest: number): number[] {
  const lengths: number[] = [];
  for (let length = SHORTEST; length <= longest; length *= 2) lengths.push(length);
  return lengths;
}

/** Runs a race in a worker of its own. Cancelling ends that worker, whatever it is doing. */
export class Race {
  private readonly engine = new Engine();
  private cancelled = false;
  private isOpen = false;
  private readonly cancellation: Promise<never>;
  private refuse: (reason: Error) => void = () => undefined;

  constructor(
    private readonly plan: RacePlan,
    private readonly listener: RaceListener,
  ) {
    this.cancellation = new Promise((_, reject) => (this.refuse = reject));
    this.cancellation.catch(() => undefined);
  }

  cancel(): void {
    this.cancelled = true;
    this.engine.end();
    this.refuse(new Error('cancelled'));
  }

  /** True if it came to its end, false if it was cancelled. */
  async run(): Promise<boolean> {
    try {
      await Promise.race([this.measureAll(), this.cancellation]);
      return true;
    } catch (error) {
      if (this.cancelled) return false;
      const lost = this.isOpen && (await Promise.race([this.engine.remote.lost(), this.cancellation.catch(() => false)]));
      throw lost ? new Error(RACE_LOST) : error;
    } finally {
      this.engine.end();
    }
  }

  private async measureAll(): Promise<void> {
    const { remote } = this.engine;
    const opened = await this.engine.open(this.plan.backend);
    this.isOpen = true;
    this.listener.started(opened.adapter);
    const lengths = lengthsUpTo(this.plan.longest);
    let exactRuns = true;
    for (const [index, length] of lengths.entries()) {
      const allowed = await this.prepare(length);
      if (length > allowed) {
        this.listener.remark(`${length.toLocaleString('en')} positions are more than this adapter allows; it ends here.`);
        return;
      }
      const methods: MethodName[] = exactRuns ? ['exact', ...APPROXIMATIONS] : [...APPROXIMATIONS];
      for (const [turn, method] of methods.entries()) {
        this.listener.measuring(length, method, (index + turn / methods.length) / lengths.length);
        const measurement = await remote.run(method, this.fitted(length));
        this.listener.measured({ length, method, measurement });
        // Twice the length is four times the work.
        const next = measurement.milliseconds * 4;
        if (method === 'exact' && next > PATIENCE_MILLISECONDS) {
          exactRuns = false;
          if (index + 1 < lengths.length) {
            this.listener.remark(
              `Exact attention stops at ${length.toLocaleString('en')} positions: twice as many would take about ${Math.round(next / 1000)} s a call.`,
            );
          }
        }
      }
    }
  }

  /** Lays the input of this length; returns the greatest length that the adapter takes. */
  private async prepare(length: number): Promise<number> {
    const { remote } = this.engine;
    const { bytes, settings } = this.plan;
    const first = length === SHORTEST;
    if (bytes && first) await remote.setSafetensors(bytes);
    if (!bytes && first) await remote.setSynthetic({ ...this.plan.shape, length }, settings.seed);
    const { length: allowed } = await remote.limits();
    if (length > allowed) return allowed;
    if (bytes) await remote.setTiled(length, settings.seed);
    else if (!first) await remote.setSynthetic({ ...this.plan.shape, length }, settings.seed);
    return allowed;
  }

  /** The shortest lengths may be too short for settings made on longer input. */
  private fitted(length: number): AllSettings {
    const { settings } = this.plan;
    return {
      ...settings,
      clusters: Math.min(settings.clusters, length),
      topK: Math.min(settings.topK, length),
      window: settings.window === null ? null : Math.min(settings.window, length - 1),
      keyGroups: Math.min(settings.keyGroups, length),
      // Its exact rows would be timed.
      guard: 'off',
    };
  }
}

/** The measurements as comma-separated values, with everything that another would need to repeat them. */
export function asCsv(points: readonly RacePoint[], plan: RacePlan, adapter: string, inputName: string): string {
  const { settings, shape } = plan;
  const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  const header =
    'length,method,milliseconds,first_milliseconds,relative_error,worst_row_error,operations,exact_operations,scratch_bytes,' +
    'heads,width,clusters,top_k,window,key_groups,space,samples,bits,iterations,euclidean_steps,center,bias,seed,input,adapter';
  const rows = points.map(({ length, method, measurement: m }) =>
    [
      length, method, m.milliseconds, m.firstMilliseconds, m.relativeError, m.worstRowError, m.operations, m.exactOperations, m.scratchBytes,
      shape.heads, shape.width, settings.clusters, settings.topK, settings.window ?? 'off', settings.keyGroups, settings.space,
      settings.samples, settings.bits, settings.iterations, settings.euclideanSteps, settings.center, settings.bias, settings.seed,
      quote(inputName), quote(adapter),
    ].join(','),
  );
  return [header, ...rows].join('\n') + '\n';
}
