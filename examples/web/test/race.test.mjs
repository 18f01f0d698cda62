// The race completes, and is cancelled at once.

import { at, click, settled, text } from './page.mjs';

export const name = 'race';

const rows = (page) =>
  page.$$eval(at('race-row'), (elements) =>
    elements.map(({ dataset: { length, method, milliseconds, error } }) => ({ length: Number(length), method, milliseconds: Number(milliseconds), error: Number(error) })),
  );

export async function test({ page, server, check, tolerate, report }) {
  await page.goto(`${server.page}#backend=cpu&source=text`);
  await settled(page);
  await page.select(at('race-longest'), '2048');
  await click(page, 'race-start');
  await page.waitForFunction((selector) => /^Finished/.test(document.querySelector(selector).textContent), { timeout: 240_000, polling: 200 }, at('race-status'));
  const finished = await rows(page);
  check(finished.length === 12, `${finished.length} measurements`);
  const of = (length, method) => finished.find((row) => row.length === length && row.method === method);
  for (const length of [512, 1024, 2048]) {
    check(of(length, 'exact').error < 1e-5 && of(length, 'stitched').error > 0.01, `errors at ${length}`);
  }
  const speedUp = of(2048, 'exact').milliseconds / of(2048, 'stitched').milliseconds;
  check(speedUp > 2, `stitched attention is ${speedUp} times as fast as exact attention at 2048`);
  report(`stitched at 2048: ${speedUp.toFixed(1)} times exact's speed`);
  check(/2,048/.test(await text(page, 'race-summary')), 'the charts are told in words');

  // The network may be gone meanwhile.
  tolerate(/console: .*(Failed to load|Loading failed|NetworkError)/);
  server.refuse = () => true;
  await page.select(at('race-longest'), '65536');
  await click(page, 'race-start');
  await page.waitForFunction((selector) => document.querySelectorAll(selector).length > 2, { timeout: 60_000 }, at('race-row'));
  const milliseconds = await page.evaluate(async (start, cancel) => {
    const begin = performance.now();
    document.querySelector(cancel).click();
    while (document.querySelector(start).disabled) await new Promise((resolve) => setTimeout(resolve, 5));
    return performance.now() - begin;
  }, at('race-start'), at('race-cancel'));
  check(milliseconds < 500, `cancelling took ${milliseconds} ms`);
  check(/^Cancelled/.test(await text(page, 'race-status')), await text(page, 'race-status'));
  report(`cancelled within ${milliseconds.toFixed(0)} ms`);
}
