import type { Step } from '../state.js';

/** Choosing a position by mouse, pen, touch and keyboard, the same on every view. */
export interface Pick {
  /** Undefined where the pointer left: back to the position that was kept. */
  hover(position: number | undefined, event?: PointerEvent): void;
  /** A click is a step that going back undoes; dragging and arrow keys are not. */
  keep(position: number, step: Step): void;
  present(): number;
  length(): number;
}

/** The position that a key leads to, or undefined if the key is none of ours. */
export function positionByKey(event: KeyboardEvent, present: number, length: number): number | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  const steps: Record<string, number> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -10,
    ArrowDown: 10,
    PageUp: -100,
    PageDown: 100,
    Home: -length,
    End: length,
  };
  const step = steps[event.key];
  if (step === undefined) return undefined;
  return Math.max(0, Math.min(length - 1, present + step));
}

/** Makes an element a slider of positions. `positionAt` says which position an event points at. */
export function pickable(
  target: HTMLElement,
  pick: Pick,
  positionAt: (event: PointerEvent | MouseEvent) => number | undefined,
): void {
  let scrubbing = false;
  target.addEventListener('pointermove', (event) => {
    const position = positionAt(event);
    if (event.pointerType === 'touch') {
      if (scrubbing && position !== undefined) pick.keep(position, 'replace');
    } else pick.hover(position, event);
  });
  target.addEventListener('pointerleave', () => pick.hover(undefined));
  target.addEventListener('pointerdown', (event) => {
    scrubbing = event.pointerType === 'touch';
  });
  for (const end of ['pointerup', 'pointercancel'] as const) {
    target.addEventListener(end, () => {
      scrubbing = false;
    });
  }
  target.addEventListener('click', (event) => {
    const position = positionAt(event);
    if (position !== undefined) pick.keep(position, 'push');
  });
  target.addEventListener('keydown', (event) => {
    const position = positionByKey(event, pick.present(), pick.length());
    if (position === undefined) return;
    event.preventDefault();
    pick.keep(position, 'replace');
  });
}

/** For elements whose width stands for all positions. */
export function positionAlong(target: HTMLElement, length: () => number): (event: PointerEvent | MouseEvent) => number {
  return (event) => {
    const box = target.getBoundingClientRect();
    const share = (event.clientX - box.left) / Math.max(1, box.width);
    return Math.max(0, Math.min(length() - 1, Math.floor(share * length())));
  };
}
