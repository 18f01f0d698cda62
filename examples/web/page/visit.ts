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

/** Draws every position of the view's head; stops after one that took longer than `patience` milliseconds. */
export async function visitAll(engine: Engine, view: View, show: (view: View, rows: MethodRows) => void, patience: number): Promise<Slowest> {
  const { head, settings, input } = view;
  const { length } = input.shape;
  const compute = async (position: number): Promise<MethodRows> => {
    const row = async (method: MethodName): Promise<[MethodName, Float32Array]> => [method, await engine.remote.row(method, settings, head, position)];
    return Object.fromEntries(await Promise.all(METHODS.map(row))) as MethodRows;
  };
  const coming = Array.from({ length: Math.min(AHEAD, length) }, (_, position) => compute(position));
  let slowest: Slowest = { position: 0, milliseconds: 0 };
  for (let position = 0; position < length && slowest.milliseconds <= patience; position += 1) {
    const rows = await (coming.shift() as Promise<MethodRows>);
    if (position + AHEAD < length) coming.push(compute(position + AHEAD));
    const begin = performance.now();
    show({ ...view, position }, rows);
    // The chart draws when the present task's promises are settled.
    await Promise.resolve();
    const milliseconds = performance.now() - begin;
    if (milliseconds > slowest.milliseconds) slowest = { position, milliseconds };
  }
  return slowest;
}
