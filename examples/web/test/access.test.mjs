// What those need who use a screen reader, or colours of their own: names, and states that colour alone does not tell.

import { createRequire } from 'node:module';
import { at, settled } from './page.mjs';

export const name = 'access';
// The rules look at the same page in every browser; only Chromium can be made to force colours.
export const browsers = ['chromium'];

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** Pairs of things of which one is on and the other is not, and which else look alike. */
const PAIRS = [
  ['source', '[data-source=text]', '[data-source=speech]'],
  ['method', '#method label:has(:checked) > span', '#method label:not(:has(:checked)) > span'],
  ['overlay', 'label:has([name=heat]:checked) > span', 'label:has([name=heat]:not(:checked)) > span'],
  ['preset', '#preset-paper', '#preset-stitched'],
  ['line of the chart', '#row-legend [aria-pressed=true]', '#row-legend [aria-pressed=false]'],
  ['switch', '#control-bias', '#control-center'],
  ['word', '.token[aria-selected=true]', '.token[aria-selected=false]'],
  ['back end', '.chip .dot', '.card'],
];

export async function test({ page, server, check, report }) {
  await page.goto(`${server.page}#backend=cpu&source=text`);
  await settled(page);
  // With it, every control is shown.
  await page.$eval(at('preset-paper'), (button) => button.click());
  await settled(page);
  await page.addScriptTag({ path: axe });
  for (const source of ['text', 'speech']) {
    await page.$eval(at(`source-${source}`), (button) => button.click());
    await page.waitForFunction((wanted) => document.querySelector(`[data-source=${wanted}]`).getAttribute('aria-pressed') === 'true', {}, source);
    await settled(page);
    const { passes, violations } = await page.evaluate(async () => {
      const found = await window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] });
      const names = ({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`;
      return { passes: found.passes.length, violations: found.violations.map(names) };
    });
    report(`${source}: ${passes} rules hold`);
    violations.forEach((violation) => check(false, `${source}: ${violation}`));
  }

  await page.$eval(at('source-text'), (button) => button.click());
  await page.$eval(at('legend-clustered'), (button) => button.click());
  await settled(page);
  const session = await page.createCDPSession();
  await session.send('Emulation.setEmulatedMedia', { features: [{ name: 'forced-colors', value: 'active' }] });
  check(await page.evaluate(() => matchMedia('(forced-colors: active)').matches), 'colours are forced');
  const looks = await page.evaluate((pairs) => {
    // As it is painted: what is forced away counts as not there.
    const ground = getComputedStyle(document.body).backgroundColor;
    const look = (selector) => {
      const style = getComputedStyle(document.querySelector(selector));
      const background = /, 0\)$/.test(style.backgroundColor) ? ground : style.backgroundColor;
      return [background, style.color, style.borderStyle, style.outlineStyle, style.outlineColor, style.textDecorationLine].join(' ');
    };
    return pairs.map(([what, on, off]) => [what, look(on), look(off)]);
  }, PAIRS);
  for (const [what, on, off] of looks) check(on !== off, `with forced colours a chosen ${what} looks like the others: ${on}`);
  // How far a slider and a bar are filled.
  const filled = await page.evaluate(() => {
    const adjusts = (selector) => getComputedStyle(document.querySelector(selector)).forcedColorAdjust;
    return { slider: adjusts('#control-clusters'), bar: adjusts('.meter span'), colours: adjusts('.colour-bar'), words: adjusts('.token') };
  });
  for (const [what, adjust] of Object.entries(filled)) check(adjust === 'none', `with forced colours the ${what} has lost its own`);
}
