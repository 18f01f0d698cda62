// Pictures of the page for a person to look at, and the one in the README.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { settled } from './page.mjs';
import { folder } from './server.mjs';

export const name = 'screenshots';
export const browsers = ['chromium'];

export async function test({ page, server, check }) {
  const pictures = join(folder, 'screenshots');
  await mkdir(pictures, { recursive: true });
  for (const scheme of ['light', 'dark']) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    for (const [width, height] of [[360, 780], [390, 844], [1440, 1000]]) {
      await page.setViewport({ width, height });
      for (const source of ['speech', 'text']) {
        await page.goto('about:blank');
        await page.goto(`${server.page}#backend=cpu&source=${source}`);
        await settled(page);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        check(overflow <= 0, `${source} at ${width} px is ${overflow} px too wide`);
        if (width !== 360) await page.screenshot({ path: join(pictures, `${source}-${width}-${scheme}.png`), fullPage: true });
      }
    }
  }
  // For the README: sound, strip, rows and chart.
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
  await page.setViewport({ width: 1440, height: 1600 });
  await page.goto('about:blank');
  await page.goto(`${server.page}#backend=cpu&source=speech`);
  await settled(page);
  await page.screenshot({ path: join(pictures, 'readme.png') });
}
