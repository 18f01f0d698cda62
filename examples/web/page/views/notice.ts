import { byId, setText } from '../dom.js';

export interface Actions {
  runAgain?: boolean;
  useCpu?: boolean;
}

/** What a notice is about: it goes when that is over, whatever else happened meanwhile. */
export type Topic = 'the device' | 'the input' | `computing ${string}`;

/** What the visitor has to know, at the lower edge, so that nothing moves. */
export class Notice {
  private readonly box = byId('notice');
  private topic: Topic = 'the device';

  constructor(runAgain: () => void, useCpu: () => void) {
    byId('notice-close').addEventListener('click', () => this.hide());
    byId('run-again').addEventListener('click', runAgain);
    byId('use-cpu').addEventListener('click', useCpu);
  }

  show(topic: Topic, text: string, kind: 'plain' | 'warning', actions: Actions = {}): void {
    this.topic = topic;
    this.box.dataset.kind = kind;
    byId('run-again').hidden = !actions.runAgain;
    byId('use-cpu').hidden = !actions.useCpu;
    this.box.hidden = false;
    setText(byId('notice-text'), text);
  }

  hide(): void {
    this.box.hidden = true;
  }

  /** Hides what is said about a computation that now worked. */
  hideComputing(product: string): void {
    if (this.topic === `computing ${product}`) this.hide();
  }

  /** Hides what is said about an input that is no longer there, and about what was computed of it. */
  hideInput(): void {
    if (this.topic !== 'the device') this.hide();
  }
}
