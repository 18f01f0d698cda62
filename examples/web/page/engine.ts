import * as Comlink from 'comlink';
import type { Backend } from '../npm/index.js';
import wasmAddress from '../npm/clustered_attention_bg.wasm?url';
import { capitalised } from './format.js';
import type { Opened, WorkerApi } from './worker.js';
// In the page's own file, so that another worker can be started where the network is gone.
import PageWorker from './worker.js?worker&inline';

let compiled: Promise<WebAssembly.Module> | undefined;

/** The package, fetched and compiled once for all workers, also those that are started where the network is gone. */
function packageModule(): Promise<WebAssembly.Module> {
  compiled ??= compile();
  // A failed fetch is tried again at the next wish.
  compiled.catch(() => (compiled = undefined));
  return compiled;
}

async function compile(): Promise<WebAssembly.Module> {
  const response = await fetch(new URL(wasmAddress, document.baseURI)).catch(() => undefined);
  if (!response) throw new Error('the program could not be fetched; is the network there?');
  if (!response.ok) throw new Error(`the program could not be fetched: the server answered ${response.status}`);
  // Some hosts give the file another type, which browsers do not compile from the stream.
  const streams = response.headers.get('content-type') === 'application/wasm';
  return streams ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
}

/** A worker with the wasm package in it. Ending the worker is how work in flight is cancelled. */
export class Engine {
  readonly remote: Comlink.Remote<WorkerApi>;
  private readonly worker: Worker;
  private readonly failure: Promise<never>;

  constructor() {
    this.worker = new PageWorker({ name: 'clustered-attention' });
    // A worker that can't even start answers no call, so its error event has to.
    this.failure = new Promise((_, reject) => {
      this.worker.addEventListener('error', (event) => {
        event.preventDefault();
        reject(new Error(event.message || 'the worker could not be started'));
      });
    });
    this.failure.catch(() => undefined);
    this.remote = Comlink.wrap<WorkerApi>(this.worker);
  }

  async open(backend: Backend): Promise<Opened> {
    const module = await packageModule();
    return Promise.race([this.remote.open(backend, module), this.failure]);
  }

  end(): void {
    this.worker.terminate();
  }
}

/** An error's words as a sentence. */
export function sentenceOf(error: unknown): string {
  return messageOf(error).replace(/([^.?!])$/, '$1.');
}

export function messageOf(error: unknown): string {
  return capitalised(error instanceof Error ? error.message : String(error));
}
