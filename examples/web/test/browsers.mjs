// The browsers that there are, each with and without WebGPU.

import { accessSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import puppeteer from 'puppeteer-core';

const programs = {
  chromium: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', 'microsoft-edge'],
  firefox: ['firefox-esr', 'firefox'],
};

const variables = { chromium: 'CLUSTERED_ATTENTION_BROWSER', firefox: 'CLUSTERED_ATTENTION_FIREFOX' };

/** Where a browser is, by its variable or on the path. */
export function find(name) {
  const named = process.env[variables[name]];
  if (named) return named;
  const folders = (process.env.PATH ?? '').split(delimiter);
  const candidates = programs[name].flatMap((program) => folders.map((path) => join(path, program)));
  return candidates.find((file) => {
    try {
      accessSync(file);
      return true;
    } catch {
      return false;
    }
  });
}

const quiet = ['--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic'];

/** Opens a browser; with WebGPU it computes on whatever adapter the machine has, a software one if need be. */
export async function open(name, webgpu) {
  const executablePath = find(name);
  if (name === 'firefox') {
    return puppeteer.launch({
      browser: 'firefox',
      executablePath,
      headless: true,
      protocolTimeout: 600_000,
      extraPrefsFirefox: { 'dom.webgpu.enabled': webgpu, 'dom.webgpu.workers.enabled': webgpu, 'gfx.webgpu.ignore-blocklist': true },
    });
  }
  // The sandbox needs rights that root in a container lacks; the pages are our own.
  const args = [...quiet, '--no-sandbox', ...(webgpu ? ['--enable-unsafe-webgpu'] : ['--disable-features=WebGPU'])];
  return puppeteer.launch({ executablePath, headless: true, protocolTimeout: 600_000, args });
}
