import { byId, setText } from '../dom.js';

/** How much of the data is there; undefined when nothing more is awaited. */
export function showProgress(share: number | undefined): void {
  const bar = byId('progress');
  bar.hidden = share === undefined;
  if (share === undefined) return;
  const percent = Math.round(share * 100);
  bar.setAttribute('aria-valuenow', String(percent));
  (bar.firstElementChild as HTMLElement).style.transform = `scaleX(${share})`;
  setText(byId('status'), `Loading data: ${percent} %`);
}
