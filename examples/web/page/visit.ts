// For tests: every position of a head, one after the other, without the pauses that a hand makes.
import type { MethodName } from '../npm/index.js';
import type { Engine } from './engine.js';
import type { View } from './products.js';
import { METHODS } from './state.js';
import type { MethodRows } from './views/rows.js';

/** The position whose drawing took longest, and how long that was. */
export interface Slowest {
  position: number;
  milliseconds: number;
}

/** Positions that are computed while others are drawn. */
const AHEAD = 16;

export interface Visit {
  /** Every how many positions one is drawn. */
  step: number;
  /** The visit stops after a position that took longer. */
  patienceMilliseconds: number;
}

/** Draws positions of the view's head, one after the other. */
export async function visitPositions(engine: Engine, view: View, show: (view: View, rows: MethodRows) => void, visit: Visit): Promise<Slowest> {
  const { head, settings, input } = view;
  const { length } = input.shape;
  const compute = async (position: number): Promise<MethodRows> => {
    const row = async (method: MethodName): Promise<[MethodName, Float32Array]> => [method, await engine.remote.row(method, settings, head, position)];
    return Object.fromEntries(await Promise.all(METHODS.map(row))) as MethodRows;
  };
  const positions = Array.from({ length: Math.ceil(length / visit.step) }, (_, index) => index * visit.step);
  const coming = positions.slice(0, AHEAD).map(compute);
  let slowest: Slowest = { position: 0, milliseconds: 0 };
  for (const [index, position] of positions.entries()) {
    const rows = await (coming.shift() as Promise<MethodRows>);
    if (index + AHEAD < positions.length) coming.push(compute(positions[index + AHEAD]));
    const begin = performance.now();
    show({ ...view, position }, rows);
    // The chart draws when the present task's promises are settled.
    await Promise.resolve();
    const milliseconds = performance.now() - begin;
    if (milliseconds > slowest.milliseconds) slowest = { position, milliseconds };
    if (milliseconds > visit.patienceMilliseconds) break;
  }
  return slowest;
}
