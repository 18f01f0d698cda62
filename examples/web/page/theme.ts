import { byId } from './dom.js';

const KEY = 'clustered-attention-theme';

function show(theme: 'light' | 'dark'): void {
  document.documentElement.dataset.theme = theme;
  const button = byId<HTMLButtonElement>('theme');
  const other = theme === 'dark' ? 'light' : 'dark';
  button.setAttribute('aria-label', `Use the ${other} theme`);
  button.title = `Use the ${other} theme`;
}

/** Follows the system until the visitor chooses; a choice is remembered where the browser lets a page remember. */
export function startTheme(changed: () => void): void {
  const system = window.matchMedia('(prefers-color-scheme: dark)');
  let chosen = false;
  try {
    // Colours that the system forces are light or dark as the system is.
    chosen = localStorage.getItem(KEY) !== null && !window.matchMedia('(forced-colors: active)').matches;
  } catch {
    // Storage can be switched off; the system's preference then holds.
  }
  show(document.documentElement.dataset.theme === 'dark' ? 'dark' : 'light');
  system.addEventListener('change', () => {
    if (chosen) return;
    show(system.matches ? 'dark' : 'light');
    changed();
  });
  byId('theme').addEventListener('click', () => {
    const theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
    chosen = true;
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // As above: the choice then lasts as long as the page.
    }
    show(theme);
    changed();
  });
}
