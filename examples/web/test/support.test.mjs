// Browsers that lack what the page needs are told so, in words.

import { at, settled, text, visible } from './page.mjs';

export const name = 'support';
export const webgpu = false;

/** What is taken from a browser before the page's own scripts run, and what the page then says. */
const lacks = [
  ['without WebAssembly', () => delete globalThis.WebAssembly, /WebAssembly is not there/],
  ['without vector instructions', () => { WebAssembly.validate = () => false; }, /vector instructions/],
];

export async function test({ visitor, browserName, page, server, check, tolerate }) {
  for (const [what, take, expected] of lacks) {
    const other = await visitor.newPage();
    await other.evaluateOnNewDocument(take);
    await other.goto(server.page);
    await settled(other, 'error', 10_000).catch(() => check(false, `${what}: no error`));
    check(await visible(other, 'notice'), `${what}: there is no notice`);
    const said = await text(other, 'notice');
    check(expected.test(said), `${what}: ${said}`);
    await other.close();
  }

  // The program is not there.
  tolerate(/console: .*(Failed to load|Loading failed)/);
  server.refuse = (path) => /assets\/.*\.js$/.test(path);
  await page.goto(server.page);
  await settled(page, 'error', 10_000).catch(() => check(false, 'without its program: no error'));
  check(/could not be started/.test(await text(page, 'notice')), `without its program: ${await text(page, 'notice')}`);
  // Nor the package.
  server.refuse = (path) => /\.wasm$/.test(path);
  await page.goto(server.page);
  await settled(page, 'error', 30_000).catch(() => check(false, 'without the package: no error'));
  check(/could not be fetched/.test(await text(page, 'notice')), `without the package: ${await text(page, 'notice')}`);
  server.refuse = () => false;
  await page.$eval(at('run-again'), (button) => button.click());
  await settled(page);

  // Firefox offers no way to switch scripts off from outside.
  if (browserName !== 'chromium') return;
  await page.setJavaScriptEnabled(false);
  await page.goto(server.page);
  const words = await page.$eval('noscript', (element) => element.innerText);
  check(/JavaScript is switched off/.test(words), `without JavaScript: ${words}`);
}
