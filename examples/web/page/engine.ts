import * as Comlink from 'comlink';
import type { Backend } from '../npm/clustered_attention.js';
import type { Opened, WorkerApi } from './worker.js';

/** A worker with the wasm package in it. Ending the worker is how work in flight is cancelled. */
export class Engine {
  readonly remote: Comlink.Remote<WorkerApi>;
  private readonly worker: Worker;
  private readonly failure: Promise<never>;

  constructor() {
    this.worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'clustered-attention' });
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

  open(backend: Backend): Promise<Opened> {
    return Promise.race([this.remote.open(backend), this.failure]);
  }

  end(): void {
    this.worker.terminate();
  }
}

export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The package's own words for a device that is gone. */
export function tellsOfLoss(error: unknown): boolean {
  return (error instanceof Error ? error.message : String(error)).toLowerCase().startsWith('the device');
}
