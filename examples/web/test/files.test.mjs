// Files of a visitor's own: a good one is shown, a broken one is told apart and changes nothing.

import { at, card, settled, text } from './page.mjs';
import { floats, safetensors, withFiles } from './safetensors.mjs';

export const name = 'files';

const shape = [2, 90, 16];
const good = { q: floats(shape), k: floats(shape, (value) => value * 1.5), v: floats(shape) };
const whole = safetensors(good);

/** What is wrong, the file, and what its message must name. */
const broken = [
  ['empty', Buffer.alloc(0), /safetensors/],
  ['a text', Buffer.from('q, k and v, as promised\n'.repeat(20)), /safetensors/],
  ['cut off in its header', whole.subarray(0, 40), /safetensors/],
  ['cut off in its data', whole.subarray(0, whole.length - 100), /safetensors/],
  ['without keys', safetensors({ q: good.q, v: good.v }), /`k`/],
  ['of integers', safetensors({ ...good, q: ['I32', shape, good.q[2]] }), /`q`.*I32/],
  ['of two dimensions', safetensors({ ...good, q: ['F32', [180, 16], good.q[2]] }), /`q`.*dimensions/],
  ['with another width of its keys', safetensors({ ...good, k: floats([2, 90, 8]) }), /same width/],
  ['with fewer keys than queries', safetensors({ ...good, k: floats([2, 80, 16]), v: floats([2, 80, 16]) }), /90.*80/],
  ['with a NaN', safetensors({ ...good, v: floats(shape, (value, index) => (index === 77 ? NaN : value)) }), /`values`.*NaN.*77/],
  ['too wide', safetensors({ q: floats([1, 20, 300]), k: floats([1, 20, 300]), v: floats([1, 20, 300]) }), /300/],
  ['with heads that do not divide', safetensors({ ...good, q: floats([3, 90, 16]) }), /heads/],
];

export async function test({ page, server, check, report }) {
  await page.goto(`${server.page}#backend=cpu&source=text`);
  await settled(page);
  const shown = await card(page, 'stitched');
  await withFiles(page, async (give) => {
    const messages = new Set();
    for (const [what, bytes, expected] of broken) {
      const file = `${what.replaceAll(' ', '-')}.safetensors`;
      await give(file, bytes);
      const arrived = page.waitForFunction((selector, start) => document.querySelector(selector).textContent.startsWith(start), { timeout: 20_000 }, at('file-error'), file);
      await arrived.catch(() => check(false, `a file ${what}: no message`));
      const message = (await text(page, 'file-error')).slice(file.length);
      check(expected.test(message), `a file ${what}: ${message}`);
      messages.add(message);
      await settled(page);
      check((await card(page, 'stitched')).error === shown.error, `a file ${what} changed what is shown`);
    }
    report(`${broken.length} broken files, ${messages.size} messages`);

    await give('mine.safetensors', whole);
    await page.waitForFunction((selector) => document.querySelector(selector).textContent === '', {}, at('file-error'));
    await page.waitForFunction((selector, error) => Number(document.querySelector(selector).dataset.error) !== error, {}, at('card-stitched'), shown.error);
    await settled(page);
    check(/source=file/.test(page.url()), `the address is ${page.url()}`);
    check((await card(page, 'exact')).error < 1e-5, 'a good file is computed');
  });
}
