import { byId, element, setText } from '../dom.js';
import { capitalised, count } from '../format.js';
import type { Input } from '../sources.js';
import type { Approximation, SourceName, State, Step } from '../state.js';
import type { Scale } from '../colours.js';

export interface ToolbarActions {
  change(change: Partial<State>, step: Step): void;
  source(source: SourceName): void;
  file(file: File): void;
}

function radios(name: string): NodeListOf<HTMLInputElement> {
  return document.querySelectorAll<HTMLInputElement>(`input[name=${name}]`);
}

function check(name: string, value: string): void {
  for (const radio of radios(name)) radio.checked = radio.value === value;
}

/** Choices of what is looked at: source, head, position, and the method set beside exact attention. */
export class Toolbar {
  private readonly head = byId<HTMLSelectElement>('head');
  private readonly position = byId<HTMLInputElement>('position');
  private length = 0;
  private present = 0;

  constructor(private readonly actions: ToolbarActions) {
    for (const button of document.querySelectorAll<HTMLButtonElement>('[data-source]')) {
      button.addEventListener('click', () => actions.source(button.dataset.source as SourceName));
    }
    this.head.addEventListener('change', () => actions.change({ head: Number(this.head.value) }, 'push'));
    this.position.addEventListener('input', () => {
      const position = Number(this.position.value);
      const valid = this.position.value !== '' && Number.isInteger(position) && position >= 0 && position < this.length;
      this.position.setAttribute('aria-invalid', String(!valid));
      if (valid) actions.change({ position }, 'replace');
    });
    this.position.addEventListener('blur', () => this.showPosition());
    for (const radio of radios('method')) {
      radio.addEventListener('change', () => actions.change({ method: radio.value as Approximation }, 'push'));
    }
    for (const radio of radios('heat')) {
      radio.addEventListener('change', () => actions.change({ heat: radio.value as State['heat'] }, 'push'));
    }
    for (const radio of radios('scale')) {
      radio.addEventListener('change', () => actions.change({ scale: radio.value as Scale }, 'push'));
    }
    this.listenForFiles();
  }

  show(state: State): void {
    for (const button of document.querySelectorAll<HTMLButtonElement>('[data-source]')) {
      button.setAttribute('aria-pressed', String(button.dataset.source === state.source));
    }
    byId('file-button').dataset.pressed = String(state.source === 'file');
    this.head.value = String(state.head);
    this.present = state.position;
    // While one types, what is not a position yet stays.
    if (document.activeElement !== this.position || this.position.getAttribute('aria-invalid') !== 'true') this.showPosition();
    check('method', state.method);
    check('heat', state.heat);
    check('scale', state.scale);
    setText(byId('heat-method-name'), state.method);
    setText(byId('track-method'), state.method);
  }

  private showPosition(): void {
    this.position.value = String(Math.max(0, this.present));
    this.position.setAttribute('aria-invalid', 'false');
  }

  showInput(input: Input): void {
    const { heads, length, width, valueWidth } = input.shape;
    this.length = length;
    this.position.max = String(length - 1);
    this.head.replaceChildren(
      ...Array.from({ length: heads }, (_, head) => {
        const option = element('option', '', `${head + 1} of ${heads}`);
        option.value = String(head);
        return option;
      }),
    );
    const sizes = `${count(heads)} heads of width ${width}${valueWidth === width ? '' : ` (values ${valueWidth})`}, ${count(length)} positions`;
    const origin = input.speech?.facts.source ?? input.text?.source ?? '';
    setText(byId('source-caption'), `${capitalised(input.title)}: ${sizes}. ${origin}`);
    byId('file-view').hidden = input.source !== 'file';
    setText(byId('file-name'), input.title);
    setText(byId('file-shape'), sizes);
  }

  showError(text: string): void {
    setText(byId('file-error'), text);
  }

  private listenForFiles(): void {
    const picker = byId<HTMLInputElement>('source-file');
    picker.addEventListener('change', () => {
      const file = picker.files?.[0];
      // Emptied, so that the same file, mended, can be chosen again.
      if (file) this.actions.file(file);
      picker.value = '';
    });
    const cover = byId('drop');
    const holdsFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
    window.addEventListener('dragover', (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      cover.hidden = false;
    });
    window.addEventListener('dragleave', (event) => {
      if (event.relatedTarget === null) cover.hidden = true;
    });
    window.addEventListener('drop', (event) => {
      cover.hidden = true;
      if (!holdsFiles(event)) return;
      event.preventDefault();
      const file = event.dataTransfer?.files[0];
      if (file) this.actions.file(file);
    });
  }
}
