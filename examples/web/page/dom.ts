/** The element with this id; the page's own markup promises that it is there. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element '${id}'`);
  return found as T;
}

/** A new element with a class and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = '',
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** Sets text only if it changed, so that screen readers are not told the same thing twice. */
export function setText(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** Sizes a canvas to its box in device pixels, at most `widest` wide, and returns its cleared context. */
export function prepareCanvas(canvas: HTMLCanvasElement, widest = 4096): CanvasRenderingContext2D {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const width = Math.max(1, Math.min(widest, Math.round(canvas.clientWidth * ratio)));
  const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext('2d');
  if (!context) throw new Error('this browser draws no canvas');
  context.clearRect(0, 0, width, height);
  return context;
}

let announcement = 0;

/** Tells screen readers, after a pause, so that dragging and hovering don't flood them. */
export function announce(text: string): void {
  window.clearTimeout(announcement);
  announcement = window.setTimeout(() => setText(byId('live'), text), 700);
}

/** Copies text; older browsers and plain http have no clipboard interface and get the selection way. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element('textarea', 'visually-hidden');
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand('copy');
    area.remove();
    return copied;
  }
}

/** Says on a button for a moment whether copying worked; its width was reserved by the style sheet. */
export function confirmOn(button: HTMLButtonElement, worked: boolean): void {
  const label = button.dataset.label ?? button.textContent ?? '';
  button.dataset.label = label;
  button.textContent = worked ? 'Copied' : 'Copying was refused';
  window.setTimeout(() => (button.textContent = label), 1600);
}
