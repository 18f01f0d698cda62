// Every control changes what it should. The back end is the CPU, which a browser without a GPU computes with far faster than with WebGPU.

import { at, card, changed, click, control, settled } from './page.mjs';

export const name = 'controls';

export async function test({ page, server, check }) {
  await page.goto(`${server.page}#backend=cpu&source=text`);
  await settled(page);
  let before = await card(page, 'stitched');
  const start = before;

  // What each does to the operations or to the error.
  for (const [setting, value, field, holds] of [
    ['clusters', 60, 'operations', (now, was) => now.operations > was.operations && now.error < was.error],
    ['topK', 64, 'operations', (now, was) => now.operations > was.operations && now.error < was.error],
    ['window', 32, 'operations', (now, was) => now.operations > was.operations && now.error < was.error],
    ['window', -1, 'operations', (now, was) => now.operations < was.operations && now.error > was.error],
    ['bits', 31, 'error', (now, was) => now.operations < was.operations],
    ['iterations', 2, 'operations', (now, was) => now.operations < was.operations],
    ['euclideanSteps', 0, 'operations', (now, was) => now.operations < was.operations],
    ['seed', 5, 'error', (now, was) => now.operations === was.operations],
    ['center', null, 'error', () => true],
    ['bias', null, 'error', () => true],
  ]) {
    await control(page, setting, value);
    const now = await changed(page, 'stitched', before, field);
    check(holds(now, before), `${setting} = ${value}: ${JSON.stringify(before)} became ${JSON.stringify(now)}`);
    await settled(page);
    before = await card(page, 'stitched');
  }

  await click(page, 'preset-stitched');
  await control(page, 'seed', 0);
  await page.waitForFunction((selector, error) => Number(document.querySelector(selector).dataset.error) === error, {}, at('card-stitched'), start.error);
  await settled(page);

  // The address carries the view; another page that opens it shows the same, and going back takes the last step back.
  await click(page, 'preset-paper');
  const paper = await changed(page, 'improved', await card(page, 'improved'), 'error');
  await settled(page);
  const address = page.url();
  check(/euclideanSteps=0/.test(address), `the address is ${address}`);
  await page.goBack();
  await page.waitForFunction((selector, error) => Number(document.querySelector(selector).dataset.error) !== error, {}, at('card-improved'), paper.error);
  await page.goto('about:blank');
  await page.goto(address);
  await settled(page);
  check((await card(page, 'improved')).error === paper.error, 'the same address shows the same numbers');

  // Positions by keyboard, heads by their list.
  const position = () => page.$eval(at('row-chart'), (element) => Number(element.dataset.position));
  const was = await position();
  await page.$eval(at('control-position'), (input) => input.focus());
  await page.keyboard.press('ArrowUp');
  await page.waitForFunction((selector, old) => Number(document.querySelector(selector).dataset.position) !== old, {}, at('row-chart'), was);
  await page.select(at('control-head'), '3');
  await page.waitForFunction((selector) => document.querySelector(selector).dataset.head === '3', {}, at('row-chart'));

  // The other layer.
  await click(page, 'source-speech');
  await page.waitForFunction((selector) => document.querySelector(selector).checkVisibility(), {}, at('spectrogram'));
  await settled(page);
  check((await card(page, 'stitched')).error < 0.2, 'stitched attention of the speech layer');
}
