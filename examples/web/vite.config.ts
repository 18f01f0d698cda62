import { defineConfig } from 'vite';

export default defineConfig({
  // Relative addresses, so that the page can be served from any folder of any static host.
  base: './',
  worker: { format: 'es' },
  build: { target: 'es2022' },
});
