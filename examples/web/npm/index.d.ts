/** Where to compute: `auto` is WebGPU where there is a real GPU, otherwise the CPU. */
export type Backend = 'auto' | 'gpu' | 'cpu';

export type MethodName = 'exact' | 'clustered' | 'improved' | 'stitched';

/** Where K-means groups queries: by hash codes in Hamming space, or by how much they differ for the keys, in the metric of the logits. */
export type Space = 'hamming' | 'metric';

/** What watches over the error of stitched attention: nothing, a measurement in each head on a few exact rows, or that and exact attention
 * of heads in error by more than 0.2. */
export type Guard = 'off' | 'report' | 'recompute';

/** Options of the methods that cluster; exact attention needs none of them. */
export interface Settings {
  /** Groups of queries in each head, at least 1. */
  clusters: number;
  /** Keys of each cluster that improved and stitched attention compute exactly. */
  topK: number;
  /** Keys at most this far from the query that stitched attention computes exactly; `null` is none. */
  window: number | null;
  /** Groups of the other keys, by which stitched attention leans its cluster's attention towards the query; left out or 0 is none. */
  keyGroups?: number;
  /** What watches over stitched attention; left out, nothing does. */
  guard?: Guard;
  /** Where queries are grouped; left out, it is `hamming`. */
  space?: Space;
  /** Queries that K-means in the metric looks at, at most; left out, they are 384. `metric` only. */
  samples?: number;
  /** Rounds of K-means: on the codes at least 1; in the metric on the samples, before all queries are assigned. */
  iterations: number;
  /** Bits of a query's code, 1 to 256. `hamming` only, as the three that follow. */
  bits: number;
  /** Steps of K-means on the queries themselves, after those on the codes. */
  euclideanSteps: number;
  /** Whether the mean query is subtracted before the codes are taken. */
  center: boolean;
  /** Whether the codes have random thresholds; without effect on centred queries. */
  bias: boolean;
  /** Seed of the codes, of the starting clusters and of the samples: an integer from 0 to 2^53 - 1. */
  seed: number;
}

/** Sizes of an input; `heads` counts those of all sequences. */
export interface InputShape {
  heads: number;
  length: number;
  width: number;
  valueWidth: number;
}

/** The largest values of the settings for an input on a back end, and the longest input of its heads and widths. */
export interface Limits {
  clusters: number;
  topK: number;
  window: number;
  keyGroups: number;
  samples: number;
  bits: number;
  iterations: number;
  euclideanSteps: number;
  length: number;
}

/** A computed input. */
export interface Run {
  method: MethodName;
  /** `[heads, length, valueWidth]`. */
  output: Float32Array;
  /** Median time of the calls after the first, data to the GPU and back included. */
  milliseconds: number;
  /** The first call also prepares kernels and memory. */
  firstMilliseconds: number;
  /** L2 error relative to exact attention on the same back end: of all rows together and of the worst row. Long inputs are compared at
   * 64 rows a head. */
  relativeError: number;
  worstRowError: number;
  /** Operations that the method needs, and that exact attention does. */
  operations: number;
  exactOperations: number;
  /** Memory beyond input and output. */
  scratchBytes: number;
  /** The error that the guard measured in each head, and whether the head was computed exactly; empty without a guard. */
  guardErrors: number[];
  fellBack: boolean[];
}

/** Clusters and their keys. */
export interface Groups {
  /** The cluster of each query, `[heads, length]`. */
  clusters: Uint32Array;
  /** The top keys of each cluster, ascending, `[heads, clusters, topKStride]`; 0xffffffff where there are fewer. */
  topKeys: Uint32Array;
  topKStride: number;
  /** Queries of each cluster, `[heads, clusters]`. */
  sizes: Uint32Array;
}

/** Settings of which none is left out. */
export interface Presets {
  paper: Required<Settings>;
  stitched: Required<Settings>;
}

/** The package's WebAssembly: where it is, or what was fetched or compiled of it. */
export type InitInput = string | URL | Request | Response | BufferSource | WebAssembly.Module;

/**
 * What went wrong, for programs; the message says it for people.
 * - `unsupported`: this browser lacks what `unsupported()` tells.
 * - `not-initialised`: `init()` was not awaited yet.
 * - `disposed`: the object was freed.
 * - `device-lost`: the graphics device is gone, as after a driver's restart; create another `ClusteredAttention`.
 * - `no-gpu`: a GPU was asked for, and none could be opened.
 * - `refused`: an argument or a file is not what the call takes, or computing failed.
 */
export type ErrorCode = 'unsupported' | 'not-initialised' | 'disposed' | 'device-lost' | 'no-gpu' | 'refused';

/** What calls throw and reject with. */
export interface ClusteredAttentionError extends Error {
  code: ErrorCode;
}

/** What this browser lacks for the package, in words; `undefined` where it lacks nothing. Needs no `init()`. */
export function unsupported(): string | undefined;

/** Fetches and compiles `clustered_attention_bg.wasm` from beside the module, or takes what is given. */
export default function init(options?: { module_or_path: InitInput | Promise<InitInput> }): Promise<void>;

/** As `init`, with what was fetched or compiled before. */
export function initSync(options: { module: BufferSource | WebAssembly.Module }): void;

/** The settings that the paper's methods and stitched attention come with; window and key groups are stitched attention's in both. */
export function presets(): Presets;

/** Attention of one input at a time, on WebGPU or on the CPU. */
export class ClusteredAttention {
  private constructor();

  /**
   * Opens a back end: `auto`, the default, takes WebGPU where there is a real GPU behind it and the CPU otherwise, because a GPU that is
   * emulated in software is slower than that; `gpu` takes an emulated one too.
   */
  static create(backend?: Backend): Promise<ClusteredAttention>;

  readonly backend: 'gpu' | 'cpu';
  /** The adapter in words. */
  readonly adapter: string;
  /** Why `auto` took the CPU; `undefined` where it did not. */
  readonly fallbackReason: string | undefined;
  /** Whether the device is gone, by `dispose` or by itself; another has to be created then. */
  readonly lost: boolean;

  /** Gives queries, keys and values of self-attention, each `[heads, length, width]` in one array. */
  setInput(queries: Float32Array, keys: Float32Array, values: Float32Array, shape: InputShape): void;
  /** Gives the tensors `q`, `k` and `v` of a safetensors file, `[heads, length, width]` or with a batch in front, in F32, F16 or BF16. */
  setSafetensors(bytes: Uint8Array): InputShape;
  /** Gives synthetic input with structure like that of real attention; the same seed gives the same numbers. */
  setSynthetic(shape: InputShape, seed: number): void;
  /** Computes with another length from now on: the input that was given, repeated with a little noise. */
  setTiled(length: number, seed: number): void;
  /** The largest values of the settings for the present input and back end. */
  limits(): Limits;

  /** Computes the input that is there at the call by a method, and measures time and error. */
  run(method: MethodName, settings: Settings): Promise<Run>;
  /** How the queries are grouped, and the top keys of each cluster. */
  groups(settings: Settings): Promise<Groups>;
  /** What a query gives to each key: numbers that sum to 1. */
  row(method: MethodName, settings: Settings, head: number, position: number): Promise<Float32Array>;
  /** The attention matrix of a head as `size` rows of `size` numbers: the mean weight that a block of queries gives to a block of keys. */
  matrix(method: MethodName, settings: Settings, head: number, size: number): Promise<Float32Array>;

  /** Frees device and memory; calls fail from then on, also those that are computing. */
  dispose(): void;
  /** The same as `dispose`. */
  free(): void;
}
