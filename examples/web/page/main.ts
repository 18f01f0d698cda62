import 'uplot/dist/uPlot.min.css';
import { App } from './app.js';
import { byId } from './dom.js';
import { unsupported } from '../npm/index.js';

declare global {
  interface Window {
    /** For tests: `loseDevice` does to the page what a driver's reset does, `visitPositions` draws those of the present head. */
    clusteredAttentionDemo: Pick<App, 'loseDevice' | 'visitPositions'>;
  }
}

// Whoever publishes the page may name the place of the source when building it.
const repository: unknown = import.meta.env.VITE_REPOSITORY;
if (typeof repository === 'string' && repository) {
  const link = byId<HTMLAnchorElement>('repository');
  link.href = repository;
  link.hidden = false;
}

const app = new App();
window.clusteredAttentionDemo = app;
const lack = unsupported();
if (lack) app.refuse(lack);
else void app.start();
