//! TypeScript's view of the objects that are passed.

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** Where to compute: `auto` is WebGPU where there is one, otherwise the CPU. */
export type Backend = 'auto' | 'gpu' | 'cpu';

export type MethodName = 'exact' | 'clustered' | 'improved' | 'stitched';

/** Options of the methods that cluster; exact attention needs none of them. */
export interface Settings {
  /** Groups of queries in each head, at least 1. */
  clusters: number;
  /** Keys of each cluster that improved and stitched attention compute exactly. */
  topK: number;
  /** Keys at most this far from the query that stitched attention computes exactly; `null` is none. */
  window: number | null;
  /** Bits of a query's code, 1 to 256. */
  bits: number;
  /** Iterations of K-means on the codes, at least 1. */
  iterations: number;
  /** Steps of K-means on the queries themselves, after those on the codes. */
  euclideanSteps: number;
  /** Whether the mean query is subtracted before the codes are taken. */
  center: boolean;
  /** Whether the codes have random thresholds; without effect on centred queries. */
  bias: boolean;
  /** Seed of the codes and of the starting clusters: an integer from 0 to 2^53 - 1. */
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

export interface Presets {
  paper: Settings;
  stitched: Settings;
}
"#;
