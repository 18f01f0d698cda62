import { byId, setText } from '../dom.js';

/** Beside the pointer, but never outside the window. */
export function showTooltip(text: string, at: { clientX: number; clientY: number }): void {
  const tooltip = byId('tooltip');
  setText(tooltip, text);
  tooltip.hidden = false;
  const { offsetWidth, offsetHeight } = tooltip;
  const left = Math.min(at.clientX + 14, document.documentElement.clientWidth - offsetWidth - 8);
  const above = at.clientY - offsetHeight - 12;
  tooltip.style.transform = `translate(${Math.max(8, left)}px, ${above < 8 ? at.clientY + 18 : above}px)`;
}

export function hideTooltip(): void {
  byId('tooltip').hidden = true;
}
