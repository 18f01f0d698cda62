// Serves the built page below a sub-path, as a static host would, and the npm package beside it.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

export const folder = fileURLToPath(new URL('..', import.meta.url));

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.flac': 'audio/flac',
  '.safetensors': 'application/octet-stream',
};

const mounts = { '/some/where/': join(folder, 'dist'), '/npm/': join(folder, 'npm'), '/data/': join(folder, 'public/data') };

/** Starts a server on a free port; `page` is the page's address, `blank` an empty page's. What `refuse` is true of gets no answer. */
export async function serve() {
  const served = { refuse: () => false };
  const server = createServer(async (request, response) => {
    if (served.refuse(request.url)) {
      request.socket.destroy();
      return;
    }
    const path = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
    if (path === '/blank.html') {
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><title>blank</title><link rel="icon" href="data:,">');
      return;
    }
    const mount = Object.keys(mounts).find((prefix) => path.startsWith(prefix));
    const file = mount && normalize(join(mounts[mount], path.slice(mount.length) || 'index.html'));
    try {
      if (!file?.startsWith(mounts[mount])) throw new Error('outside');
      const body = await readFile(file);
      const head = { 'Content-Type': types[extname(file)] ?? 'application/octet-stream', 'Content-Length': body.length };
      response.writeHead(200, head).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return Object.assign(served, { origin, page: `${origin}/some/where/`, blank: `${origin}/blank.html`, close: () => server.close() });
}
