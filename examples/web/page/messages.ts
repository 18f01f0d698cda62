// What the page says in more than a few words.

export const LOST = 'The graphics device was lost, as happens when a driver restarts. Nothing else is: run again to go on where you were.';
export const RACE_LOST = 'The graphics device was lost, as happens when a driver restarts: start the race again.';
export const NO_FILE = 'This link shows a file of its sender’s: open or drop that file here to see the view.';
/** After the reason why `auto` took the CPU. */
export const TWIN = 'so the crate’s CPU twin does the work, in WebAssembly: the same methods, only slower than on a graphics card.';

export function cannotRun(lack: string): string {
  return `This page cannot compute in this browser: ${lack}. Any current version of Chrome, Edge, Firefox or Safari can.`;
}
