// A browser without WebGPU computes on the CPU and says so.

import { card, settled, text } from './page.mjs';

export const name = 'fallback';
export const webgpu = false;

export async function test({ page, server, check }) {
  await page.goto(`${server.page}#source=text`);
  await settled(page);
  check(/CPU/.test(await text(page, 'adapter')), `the adapter is ${await text(page, 'adapter')}`);
  check(/WebGPU/.test(await text(page, 'notice')), `the notice says: ${await text(page, 'notice')}`);
  const { error } = await card(page, 'stitched');
  check(error > 0.05 && error < 0.15, `stitched is off by ${error}`);

  await page.goto('about:blank');
  await page.goto(`${server.page}#backend=gpu`);
  await settled(page, 'error');
  check(/WebGPU/.test(await text(page, 'notice')), `asked for a GPU, the notice says: ${await text(page, 'notice')}`);
}
