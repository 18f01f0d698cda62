// Every control changes what it should. The back end is the CPU, which a browser without a GPU computes with far faster than with WebGPU.

import { at, card, changed, click, control, settled, visible } from './page.mjs';

export const name = 'controls';

export async function test({ page, server, check }) {
  await page.goto(`${server.page}#backend=cpu&source=text`);
  await settled(page);
  for (const setting of ['bits', 'euclideanSteps', 'center', 'bias']) {
    check(!(await visible(page, `control-${setting}`)), `${setting} is of hash codes, which are not taken`);
  }
  let before = await card(page, 'stitched');
  const start = before;

  // What each does to the operations or to the error.
  for (const [setting, value, field, holds] of [
    ['clusters', 60, 'operations', (now, was) => now.operations > was.operations && now.error < was.error],
    ['topK', 128, 'operations', (now, was) => now.operations > was.operations && now.error < was.error],
    ['window', 32, 'operations', (now, was) => now.operations > was.operations && now.error < was.error],
    ['window', -1, 'operations', (now, was) => now.operations < was.operations && now.error > was.error],
    ['keyGroups', 0, 'operations', (now, was) => now.error > was.error],
    ['keyGroups', 8, 'operations', (now, was) => now.error < was.error],
    ['iterations', 2, 'operations', (now, was) => now.operations < was.operations],
    ['space', 'hamming', 'error', () => true],
    ['iterations', 7, 'operations', (now, was) => now.operations > was.operations],
    ['bits', 31, 'error', (now, was) => now.operations < was.operations],
    ['euclideanSteps', 0, 'operations', (now, was) => now.operations < was.operations],
    ['seed', 5, 'error', (now, was) => now.operations === was.operations],
    ['center', null, 'error', () => true],
    ['bias', null, 'error', () => true],
  ]) {
    check(await visible(page, `control-${setting}`), `${setting} is shown`);
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

  // The guard names the worst head, and those that it has computed exactly, which lowers the error.
  const guard = (pattern) =>
    page.waitForFunction((selector, text) => new RegExp(text).test(document.querySelector(selector).dataset.guard), {}, at('card-stitched'), pattern);
  await control(page, 'guard', 'report');
  await guard('^head \\d+: \\d[^;]*$');
  await settled(page);
  check((await card(page, 'stitched')).error === start.error, 'a guard that reports changes nothing');
  await control(page, 'guard', 'recompute');
  await guard('^head \\d+: \\d.*$');
  await settled(page);
  check((await card(page, 'stitched')).error <= start.error, 'a guard that recomputes lowers the error');
  await control(page, 'guard', 'off');
  await guard('^–$');
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

  // Many keys on a slider are one step of the history; it reaches the most that is allowed, and what an address holds.
  const setting = (name) => new URLSearchParams(new URL(page.url()).hash.slice(1)).get(name);
  const steps = await page.evaluate(() => history.length);
  const clusters = setting('clusters');
  await page.focus(at('control-clusters'));
  for (let key = 0; key < 10; key += 1) await page.keyboard.press('ArrowRight');
  await page.waitForFunction((wanted) => location.hash.includes(`clusters=${wanted}&`), { polling: 50 }, Number(clusters) + 10);
  check((await page.evaluate(() => history.length)) <= steps + 1, `ten keys made ${(await page.evaluate(() => history.length)) - steps} steps of the history`);
  await page.goBack();
  await page.waitForFunction((wanted) => location.hash.includes(`clusters=${wanted}&`), { polling: 50, timeout: 10_000 }, clusters).catch(() => check(false, `going back led to ${page.url()}`));
  const slider = await page.$(at('control-clusters'));
  await slider.scrollIntoView();
  const box = await slider.boundingBox();
  const entries = await page.evaluate(() => history.length);
  await page.mouse.move(box.x + box.width * 0.3, box.y + box.height / 2);
  await page.mouse.down();
  for (const share of [0.4, 0.5, 0.6]) await page.mouse.move(box.x + box.width * share, box.y + box.height / 2);
  await page.mouse.up();
  check((await page.evaluate(() => history.length)) <= entries + 1, `a drag made ${(await page.evaluate(() => history.length)) - entries} steps of the history`);
  await page.focus(at('control-clusters'));
  await page.keyboard.press('End');
  await page.waitForFunction(() => location.hash.includes('clusters=512&'), { polling: 50, timeout: 10_000 }).catch(() => check(false, `the slider's end is at ${page.url()}`));
  await page.evaluate(() => (location.hash = location.hash.replace('clusters=512', 'clusters=400')));
  await page.waitForFunction((selector) => document.querySelector(selector).getAttribute('aria-valuetext') === '400', { polling: 50 }, at('control-clusters'));
  const share = await page.$eval(at('control-clusters'), ({ value, min, max }) => (value - min) / (max - min));
  check(share > 0.9 && share < 1, `400 of 512 stands at ${share} of the slider`);
  await page.evaluate((wanted) => (location.hash = location.hash.replace('clusters=400', `clusters=${wanted}`)), clusters);
  await settled(page);

  // A position that was emptied comes back.
  await page.click(at('control-position'), { count: 3 });
  await page.keyboard.press('Backspace');
  check((await page.$eval(at('control-position'), (input) => input.value)) === '', 'the position was emptied');
  await page.focus(at('control-head'));
  const back = await page.$eval(at('control-position'), (input) => [input.value, input.getAttribute('aria-invalid')].join());
  check(/^\d+,false$/.test(back), `an emptied position is left as ${back}`);

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
