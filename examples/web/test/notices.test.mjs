// Messages stay as long as they are true, and no longer; files whose numbers are extreme end in plain words or are shown.

import { at, click, settled, text, visible } from './page.mjs';
import { floats, safetensors, withFiles } from './safetensors.mjs';

export const name = 'notices';

const shape = [2, 90, 16];
const good = safetensors({ q: floats(shape), k: floats(shape, (wave) => wave * 1.5), v: floats(shape) });
const zero = safetensors({ q: floats(shape, () => 0), k: floats(shape, () => 0), v: floats(shape, () => 0) });
const huge = safetensors({ q: floats(shape, (wave) => wave * 1e30), k: floats(shape, (wave) => wave * 1e30), v: floats(shape) });
/** Weights whose largest is 0.145 and whose smallest is next to nothing: the chart's lower end is then 0.97 of a power of ten. */
const narrow = safetensors({
  q: floats(shape, (_, index) => (index % 16 ? 0 : 4)),
  k: floats(shape, (_, index) => (index % 16 ? 0 : [0, -30][Math.floor(index / 16) % 90] ?? Math.log((1 / 0.145 - 1) / 88))),
  v: floats(shape),
});

export async function test({ page, server, check, tolerate, report }) {
  await withFiles(page, async (give) => {
    const shown = (file) => page.waitForFunction((wanted) => document.getElementById('file-name').textContent === wanted, { timeout: 20_000 }, file);

    // A link to a file of somebody's own: it says so for as long as the file is not there, and then shows the view that it holds.
    await page.goto(`${server.page}#backend=cpu&source=file&head=1&position=33&clusters=7`);
    await settled(page);
    await new Promise((resolve) => setTimeout(resolve, 500));
    check(/file of its sender/.test(await text(page, 'file-error')), `the link's message: ${await text(page, 'file-error')}`);
    check(!(await visible(page, 'tokens')), 'the link shows a text that it does not mean');
    await give('sent.safetensors', good);
    await shown('sent.safetensors');
    await settled(page);
    const { head, position } = await page.$eval(at('row-chart'), ({ dataset }) => ({ ...dataset }));
    check(head === '1' && position === '33', `the link's view is head ${head}, position ${position}`);
    check(/clusters=7/.test(page.url()), `the address is ${page.url()}`);
    check((await text(page, 'file-error')) === '', 'the message goes when the file is there');

    // One chart after another; half a minute was what the freeze took.
    for (const [file, bytes] of [['zero.safetensors', zero], ['narrow.safetensors', narrow]]) {
      await give(file, bytes);
      await shown(file);
      const begin = performance.now();
      await settled(page, 'ready', 20_000);
      report(`${file} in ${(performance.now() - begin).toFixed(0)} ms`);
      check(!(await visible(page, 'notice')), `${file}: ${await text(page, 'notice')}`);
    }

    // What cannot be computed is said in words, and not over the next file.
    await give('huge.safetensors', huge);
    await page.waitForFunction((selectors) => selectors.some((selector) => { const { textContent, hidden } = document.querySelector(selector); return !hidden && textContent.includes('large'); }), { timeout: 20_000 }, [at('notice'), at('file-error')]);
    const said = `${await text(page, 'notice')} ${await text(page, 'file-error')}`;
    report(said);
    check(!/undefined|null|NaN|RangeError|TypeError|iterable|not a function|unreachable/.test(said), `values of 1e30: ${said}`);
    // Nor over it what was said of a source that could not be fetched.
    tolerate(/console: .*(Failed to load|Loading failed)/);
    server.refuse = (path) => path.includes('/data/speech');
    await click(page, 'source-speech');
    await settled(page, 'error', 20_000);
    check(/could not be fetched/.test(await text(page, 'notice')), `without speech: ${await text(page, 'notice')}`);
    await give('good.safetensors', good);
    await shown('good.safetensors');
    await settled(page);
    check(!(await visible(page, 'notice')), `over a good file stands: ${await text(page, 'notice')}`);
    check((await text(page, 'file-error')) === '', `over a good file stands: ${await text(page, 'file-error')}`);
  });
}
