import { messageOf } from './engine.js';

/**
 * Something the page shows and the worker computes. `key` names everything it depends on; the conductor computes whatever is shown
 * under another key than the present one, so that the latest wish wins and no wish is ever queued behind an older one.
 */
export interface Product {
  readonly name: string;
  /** Undefined while it isn't wanted. */
  key(): string | undefined;
  compute(isCurrent: () => boolean): Promise<void>;
}

export interface Listener {
  busy(product: string | undefined): void;
  computed(product: string): void;
  failed(product: string, message: string): void;
  lost(): void;
}

/** Computes products one after the other, the first in the list first. */
export class Conductor {
  private readonly done = new Map<string, string>();
  private running = false;
  private stopped = true;
  private generation = 0;

  constructor(
    private readonly products: readonly Product[],
    private readonly listener: Listener,
    private readonly isLost: () => Promise<boolean>,
  ) {}

  /** Forgets what was done and begins anew; calls that never return (their worker was ended) are left behind. */
  restart(): void {
    this.generation += 1;
    this.done.clear();
    this.running = false;
    this.stopped = false;
    this.wake();
  }

  stop(): void {
    this.generation += 1;
    this.running = false;
    this.stopped = true;
  }

  /** To be called whenever something changed that a key depends on. */
  wake(): void {
    if (!this.running && !this.stopped) void this.pump();
  }

  private next(): Product | undefined {
    return this.products.find((product) => {
      const key = product.key();
      return key !== undefined && this.done.get(product.name) !== key;
    });
  }

  private async pump(): Promise<void> {
    const generation = this.generation;
    this.running = true;
    for (let product = this.next(); product; product = this.next()) {
      const { name } = product;
      const current = product;
      const key = product.key() as string;
      const isCurrent = (): boolean => generation === this.generation && current.key() === key;
      this.listener.busy(name);
      try {
        await product.compute(isCurrent);
        if (isCurrent()) this.listener.computed(name);
      } catch (error) {
        const lost = await this.isLost();
        if (generation !== this.generation) return;
        if (lost) {
          this.stop();
          this.listener.lost();
          return;
        }
        if (isCurrent()) this.listener.failed(name, messageOf(error));
      }
      if (generation !== this.generation) return;
      // A failure counts as done too: the same wish would only fail again.
      if (isCurrent()) this.done.set(name, key);
    }
    this.running = false;
    this.listener.busy(undefined);
  }
}
