// The page on WebGPU: it loads, shows numbers, and survives the loss of its device.

import { at, card, click, settled, text } from './page.mjs';

export const name = 'load';

export async function test({ page, server, check, report, browserName }) {
  const begin = Date.now();
  await page.goto(`${server.page}#backend=gpu&source=text`, { waitUntil: 'domcontentloaded' });
  await page.waitForFunction((selector) => document.querySelector(selector)?.dataset.position !== undefined, { polling: 50 }, at('row-chart'));
  const seconds = (Date.now() - begin) / 1e3;
  report(`first rows after ${seconds.toFixed(2)} s`);
  // On an idle machine it is 2 s at most; other work beside the test must not fail it.
  check(seconds < 10, `the first result took ${seconds} s`);
  await settled(page, 'ready', 300_000);
  report(`everything after ${((Date.now() - begin) / 1e3).toFixed(1)} s on ${await text(page, 'adapter')}`);
  check(!/CPU/.test(await text(page, 'adapter')), 'WebGPU is used');
  const [exact, clustered, improved, stitched] = await Promise.all(['exact', 'clustered', 'improved', 'stitched'].map((method) => card(page, method)));
  check(exact.error < 1e-5, `exact attention is off by ${exact.error}`);
  check(stitched.error < improved.error && improved.error < clustered.error, `errors ${stitched.error}, ${improved.error}, ${clustered.error}`);
  check(stitched.error > 0.05 && stitched.error < 0.15, `stitched is off by ${stitched.error}`);
  check([exact, clustered, improved, stitched].every(({ milliseconds }) => milliseconds > 0), 'everything takes time');
  check(exact.operations > stitched.operations, 'stitched needs fewer operations');

  await page.evaluate(() => window.clusteredAttentionDemo.loseDevice());
  await settled(page, 'lost');
  check(/lost/i.test(await text(page, 'notice')), `the notice says: ${await text(page, 'notice')}`);
  await click(page, 'run-again');
  await settled(page, 'ready', 300_000);
  const again = await card(page, 'stitched');
  check(again.error === stitched.error, `after the loss the error is ${again.error}, before ${stitched.error}`);
  report(`${browserName} went on after a lost device`);
}
