// Every position of every head of both sources is drawn, and none holds the page up. Where the axes of the chart end follows from numbers
// alone, so one browser draws all of them and the other some.

import { at, click, settled } from './page.mjs';

export const name = 'positions';

/** A freeze lasted half a minute; a position takes milliseconds, and other work beside the test must not fail it. */
const PATIENCE_MILLISECONDS = 3000;

export async function test({ browserName, page, server, check, report }) {
  const step = browserName === 'chromium' ? 1 : 16;
  // Less to paint; the axes are the same.
  await page.setViewport({ width: 480, height: 640 });
  for (const source of ['text', 'speech']) {
    await page.goto('about:blank');
    await page.goto(`${server.page}#backend=cpu&source=${source}`);
    await settled(page);
    // Axes are what can stand still; drawing the lines too would take minutes.
    for (const method of ['exact', 'clustered', 'improved', 'stitched']) await click(page, `legend-${method}`);
    const heads = await page.$$eval(`${at('control-head')} option`, (options) => options.length);
    const begin = performance.now();
    let slowest = 0;
    for (let head = 0; head < heads; head += 1) {
      await page.select(at('control-head'), String(head));
      await page.waitForFunction((selector, wanted) => document.querySelector(selector).dataset.head === wanted, { polling: 20 }, at('row-chart'), String(head));
      const found = await page.evaluate((visit) => window.clusteredAttentionDemo.visitPositions(visit), { step, patienceMilliseconds: PATIENCE_MILLISECONDS });
      slowest = Math.max(slowest, found.milliseconds);
      check(found.milliseconds <= PATIENCE_MILLISECONDS, `${source}, head ${head}, position ${found.position}: the page stood still for ${found.milliseconds} ms`);
      if (found.milliseconds > PATIENCE_MILLISECONDS) return;
    }
    report(`${source}: ${heads} heads in ${((performance.now() - begin) / 1e3).toFixed(1)} s, the slowest position in ${slowest.toFixed(0)} ms`);
  }
}
