// The package's face: the bindings of `clustered_attention.js`, whose calls before `init` and after `free` would end in words of memory.
import initialise, { ClusteredAttention as Bound, initSync as initialiseNow, presets as boundPresets } from './clustered_attention.js';

/** A module of one function that uses a vector instruction; engines without them refuse it. */
const VECTORS = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);
/** Only `create` may construct. */
const CREATED = Symbol('created');

let isReady = false;

function failure(code, message) {
  return Object.assign(new Error(message), { code });
}

export function unsupported() {
  if (typeof WebAssembly !== 'object') return 'WebAssembly is not there or switched off';
  if (!WebAssembly.validate(VECTORS)) return 'WebAssembly has no vector instructions (SIMD) here';
  return undefined;
}

function checkSupport() {
  const lack = unsupported();
  if (lack) throw failure('unsupported', lack);
}

function checkReady() {
  if (!isReady) throw failure('not-initialised', 'the package is not initialised yet; call and await `init()` first');
}

export default async function init(options) {
  checkSupport();
  await initialise(options);
  isReady = true;
}

export function initSync(options) {
  checkSupport();
  initialiseNow(options);
  isReady = true;
}

export function presets() {
  checkReady();
  return boundPresets();
}

export class ClusteredAttention {
  #bound;
  #backend;
  #adapter;
  #fallbackReason;

  static async create(backend = 'auto') {
    checkReady();
    return new ClusteredAttention(CREATED, await Bound.create(backend));
  }

  constructor(token, bound) {
    if (token !== CREATED) throw failure('refused', '`ClusteredAttention` has no constructor; await `ClusteredAttention.create()`');
    this.#bound = bound;
    this.#backend = bound.backend;
    this.#adapter = bound.adapter;
    this.#fallbackReason = bound.fallbackReason;
  }

  get backend() {
    return this.#backend;
  }

  get adapter() {
    return this.#adapter;
  }

  get fallbackReason() {
    return this.#fallbackReason;
  }

  get lost() {
    return this.#bound?.lost ?? true;
  }

  setInput(queries, keys, values, shape) {
    this.#open().setInput(queries, keys, values, shape);
  }

  setSafetensors(bytes) {
    return this.#open().setSafetensors(bytes);
  }

  setSynthetic(shape, seed) {
    this.#open().setSynthetic(shape, seed);
  }

  setTiled(length, seed) {
    this.#open().setTiled(length, seed);
  }

  limits() {
    return this.#open().limits();
  }

  // What these four compute with is settled when they are called: a later `setInput` is for later calls.
  async run(method, settings) {
    return this.#settled(await this.#open().run(method, settings));
  }

  async groups(settings) {
    return this.#settled(await this.#open().groups(settings));
  }

  async row(method, settings, head, position) {
    return this.#settled(await this.#open().row(method, settings, head, position));
  }

  async matrix(method, settings, head, size) {
    return this.#settled(await this.#open().matrix(method, settings, head, size));
  }

  dispose() {
    const bound = this.#bound;
    this.#bound = undefined;
    bound?.dispose();
    bound?.free();
  }

  free() {
    this.dispose();
  }

  #open() {
    const bound = this.#settled(this.#bound);
    if (bound.lost) throw failure('device-lost', 'the device is gone; create another `ClusteredAttention`');
    return bound;
  }

  /** A result, unless the object was disposed of meanwhile. */
  #settled(result) {
    if (!this.#bound) throw failure('disposed', 'this `ClusteredAttention` was disposed of; create another');
    return result;
  }
}

if (Symbol.dispose) ClusteredAttention.prototype[Symbol.dispose] = ClusteredAttention.prototype.dispose;
