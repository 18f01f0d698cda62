// Without a wish, the page takes a real GPU or the CPU, and never a GPU that the processor plays: the CPU twin is faster than that.

import { at, click, settled, text } from './page.mjs';

export const name = 'automatic';

export async function test({ page, server, check, report }) {
  await page.goto(server.blank);
  const emulated = await page.evaluate(async () => {
    const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
    return adapter.info.isFallbackAdapter;
  });
  report(emulated ? 'the GPU is emulated' : 'the GPU is real');
  await page.goto(server.page);
  await settled(page);
  const adapter = await text(page, 'adapter');
  const used = await page.$eval('.chip', (chip) => chip.dataset.backend);
  check(used === (emulated ? 'cpu' : 'gpu'), `the page computes on the ${used}: ${adapter}`);
  if (!emulated) return;
  check(/no real GPU/.test(adapter), `the adapter is ${adapter}`);
  check(/emulated/.test(await text(page, 'notice')), `the notice says: ${await text(page, 'notice')}`);
  // Who asks for it gets it.
  await click(page, 'backend');
  await page.waitForFunction(() => document.querySelector('.chip').dataset.backend === 'gpu', { timeout: 60_000 });
  check(/backend=gpu/.test(page.url()), `the address is ${page.url()}`);
  check(await page.$eval(at('notice'), (notice) => notice.hidden), 'nothing is left of the notice');
}
