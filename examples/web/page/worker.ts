// Everything that computes: the wasm package on a thread of its own, so that the page never waits for it.
import * as Comlink from 'comlink';
import init, { ClusteredAttention, presets } from '../npm/index.js';
import type { Backend, Groups, InputShape, Limits, MethodName, Presets, Run, Settings } from '../npm/index.js';

export type Measurement = Omit<Run, 'output'>;
export interface Opened {
  backend: 'gpu' | 'cpu';
  adapter: string;
  /** Why `auto` took the CPU. */
  fallbackReason: string | undefined;
  presets: Presets;
}
export interface Loaded {
  shape: InputShape;
  limits: Limits;
}

let instance: ClusteredAttention | undefined;
let tail: Promise<unknown> = Promise.resolve();

/** Calls take turns: an object of the package does one thing at a time. */
function inTurn<T>(work: () => T | Promise<T>): Promise<T> {
  const next = tail.then(work, work);
  tail = next.catch(() => undefined);
  return next;
}

function attention(): ClusteredAttention {
  if (!instance) throw new Error('the device is not open');
  return instance;
}

function transfer<T>(result: T, ...arrays: (Float32Array | Uint32Array)[]): T {
  return Comlink.transfer(result, arrays.map((array) => array.buffer as ArrayBuffer));
}

const api = {
  open: (backend: Backend, module: WebAssembly.Module): Promise<Opened> =>
    inTurn(async () => {
      await init({ module_or_path: module });
      instance = await ClusteredAttention.create(backend);
      // Browsers may keep the adapter's name to themselves.
      const adapter = instance.adapter.trim().replace(/^\(/, 'WebGPU (');
      const { fallbackReason } = instance;
      return { backend: instance.backend, adapter, fallbackReason, presets: presets() };
    }),
  setSafetensors: (bytes: Uint8Array): Promise<Loaded> =>
    inTurn(() => {
      const shape = attention().setSafetensors(bytes);
      return { shape, limits: attention().limits() };
    }),
  setSynthetic: (shape: InputShape, seed: number): Promise<void> => inTurn(() => attention().setSynthetic(shape, seed)),
  setTiled: (length: number, seed: number): Promise<void> => inTurn(() => attention().setTiled(length, seed)),
  limits: (): Promise<Limits> => inTurn(() => attention().limits()),
  run: (method: MethodName, settings: Settings): Promise<Measurement> =>
    inTurn(async () => {
      // The page shows numbers, not the output, which can be large: it stays here.
      const { output: _, ...measurement } = await attention().run(method, settings);
      return measurement;
    }),
  groups: (settings: Settings): Promise<Groups> =>
    inTurn(async () => {
      const groups = await attention().groups(settings);
      return transfer(groups, groups.clusters, groups.topKeys, groups.sizes);
    }),
  row: (method: MethodName, settings: Settings, head: number, position: number): Promise<Float32Array> =>
    inTurn(async () => {
      const row = await attention().row(method, settings, head, position);
      return transfer(row, row);
    }),
  matrix: (method: MethodName, settings: Settings, head: number, size: number): Promise<Float32Array> =>
    inTurn(async () => {
      const matrix = await attention().matrix(method, settings, head, size);
      return transfer(matrix, matrix);
    }),
  lost: (): Promise<boolean> => inTurn(() => instance?.lost ?? false),
  dispose: (): Promise<void> => inTurn(() => attention().dispose()),
};

export type WorkerApi = typeof api;

Comlink.expose(api);
