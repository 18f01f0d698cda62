// What the worker computes for the page, in the order in which a visitor wants it.
import type { Groups, MethodName } from '../npm/index.js';
import type { Product } from './conductor.js';
import type { Engine } from './engine.js';
import type { Input } from './sources.js';
import { METHODS, type AllSettings, type Approximation } from './state.js';
import type { MatrixFacts } from './views/matrix.js';
import type { MethodRows } from './views/rows.js';
import { groupsOfHead, type HeadGroups } from './views/tracks.js';
import type { Measurement } from './worker.js';

/** What is on show at the moment. */
export interface View {
  input: Input;
  head: number;
  position: number;
  method: Approximation;
  /** Lags a little behind the controls while they are dragged. */
  settings: AllSettings;
}

export interface Shower {
  view(): View | undefined;
  engine(): Engine;
  rows(view: View, rows: MethodRows): void;
  groups(view: View, groups: HeadGroups): void;
  measuring(method: MethodName): void;
  measured(method: MethodName, measurement: Measurement): void;
  untimed(method: MethodName): void;
  matrix(facts: MatrixFacts): void;
  noMatrix(): void;
}

/** Pairs of positions in all heads beyond which exact attention isn't computed unasked: it could hold up everything else for minutes. */
const TOO_MANY_PAIRS = 3e9;
const LARGEST_MATRIX = 256;
const ROWS_KEPT = 160;

/** The settings that a method depends on, as text; the others may change without it being computed again. */
function relevant(method: MethodName | 'groups', settings: AllSettings): string {
  if (method === 'exact') return method;
  const { clusters, space, samples, bits, iterations, euclideanSteps, center, bias, seed, topK, window, keyGroups, guard } = settings;
  const parts: unknown[] = [method, clusters, space, iterations, seed];
  if (space === 'metric') parts.push(samples);
  else parts.push(bits, euclideanSteps, center, bias);
  if (method !== 'clustered') parts.push(topK);
  if (method === 'stitched') parts.push(window, keyGroups, guard);
  return parts.join(' ');
}

export function isTooLong({ shape }: Input): boolean {
  return shape.heads * shape.length * shape.length > TOO_MANY_PAIRS;
}

/** Keeps the latest results of a kind. */
class Kept<T> {
  private readonly entries = new Map<string, T>();

  constructor(private readonly most: number) {}

  async get(key: string, compute: () => Promise<T>): Promise<T> {
    const known = this.entries.get(key);
    if (known !== undefined) return known;
    const computed = await compute();
    this.entries.set(key, computed);
    if (this.entries.size > this.most) this.entries.delete(this.entries.keys().next().value as string);
    return computed;
  }
}

export function makeProducts(shower: Shower): Product[] {
  const keptRows = new Kept<Float32Array>(ROWS_KEPT);
  const keptMatrices = new Kept<Float32Array>(8);
  const keptGroups = new Kept<Groups>(2);

  const remote = (): Engine['remote'] => shower.engine().remote;
  const keyed = (parts: (view: View) => (string | number)[]) => (): string | undefined => {
    const view = shower.view();
    return view && [view.input.generation, ...parts(view)].join('|');
  };

  const rows: Product = {
    name: 'rows',
    key: keyed(({ head, position, settings }) => [head, position, relevant('stitched', settings)]),
    compute: async (isCurrent) => {
      const view = shower.view();
      if (!view) return;
      const { input, head, position, settings } = view;
      const found: Partial<MethodRows> = {};
      for (const method of METHODS) {
        const key = [input.generation, head, position, relevant(method, settings)].join('|');
        found[method] = await keptRows.get(key, () => remote().row(method, settings, head, position));
        if (!isCurrent()) return;
      }
      shower.rows(view, found as MethodRows);
    },
  };

  const groups: Product = {
    name: 'groups',
    key: keyed(({ head, settings }) => [head, relevant('groups', settings)]),
    compute: async (isCurrent) => {
      const view = shower.view();
      if (!view) return;
      const { input, settings, head } = view;
      const key = [input.generation, relevant('groups', settings)].join('|');
      const all = await keptGroups.get(key, () => remote().groups(settings));
      if (isCurrent()) shower.groups(view, groupsOfHead(all, input.shape.length, head));
    },
  };

  const runs = METHODS.map(
    (method): Product => ({
      name: `${method} attention`,
      key: keyed(({ settings }) => [relevant(method, settings)]),
      compute: async (isCurrent) => {
        const view = shower.view();
        if (!view) return;
        if (method === 'exact' && isTooLong(view.input)) {
          shower.untimed(method);
          return;
        }
        shower.measuring(method);
        const measurement = await remote().run(method, view.settings);
        if (isCurrent()) shower.measured(method, measurement);
      },
    }),
  );

  const matrix: Product = {
    name: 'the matrix',
    key: keyed(({ head, method, settings }) => [head, relevant(method, settings)]),
    compute: async (isCurrent) => {
      const view = shower.view();
      if (!view) return;
      const { input, head, method, settings } = view;
      if (isTooLong(input)) {
        shower.noMatrix();
        return;
      }
      const size = Math.min(LARGEST_MATRIX, input.shape.length);
      const one = (which: MethodName): Promise<Float32Array> => {
        const key = [input.generation, head, relevant(which, settings)].join('|');
        return keptMatrices.get(key, () => remote().matrix(which, settings, head, size));
      };
      const exact = await one('exact');
      if (!isCurrent()) return;
      const approximate = await one(method);
      if (isCurrent()) shower.matrix({ input, head, method, size, exact, approximate });
    },
  };

  return [rows, groups, ...runs, matrix];
}
