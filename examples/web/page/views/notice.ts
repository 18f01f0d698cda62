import { byId, setText } from '../dom.js';

export interface Actions {
  runAgain?: boolean;
  useCpu?: boolean;
}

/** What the visitor has to know, at the lower edge, so that nothing moves. */
export class Notice {
  private readonly box = byId('notice');
  private text = '';

  constructor(runAgain: () => void, useCpu: () => void) {
    byId('notice-close').addEventListener('click', () => this.hide());
    byId('run-again').addEventListener('click', runAgain);
    byId('use-cpu').addEventListener('click', useCpu);
  }

  show(text: string, kind: 'plain' | 'warning', actions: Actions = {}): void {
    this.text = text;
    this.box.dataset.kind = kind;
    byId('run-again').hidden = !actions.runAgain;
    byId('use-cpu').hidden = !actions.useCpu;
    this.box.hidden = false;
    setText(byId('notice-text'), text);
  }

  /** Hides this text, if it is still the one shown; without one, whatever is shown. */
  hide(text = this.text): void {
    if (text === this.text) this.box.hidden = true;
  }
}
