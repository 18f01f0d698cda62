// All tests of the page and the package, in every browser: `node test/run.mjs [browser] [test]`. The page must have been built.

import { find, open } from './browsers.mjs';
import { serve } from './server.mjs';
import * as access from './access.test.mjs';
import * as automatic from './automatic.test.mjs';
import * as controls from './controls.test.mjs';
import * as fallback from './fallback.test.mjs';
import * as files from './files.test.mjs';
import * as kernels from './kernels.test.mjs';
import * as load from './load.test.mjs';
import * as numbers from './numbers.test.mjs';
import * as notices from './notices.test.mjs';
import * as npmPackage from './package.test.mjs';
import * as positions from './positions.test.mjs';
import * as race from './race.test.mjs';
import * as screenshots from './screenshots.test.mjs';
import * as support from './support.test.mjs';

// Those without WebGPU last: a browser is opened once for all tests that want the same of it.
const tests = [numbers, kernels, npmPackage, load, automatic, controls, positions, files, notices, access, race, screenshots, fallback, support];
const [onlyBrowser, onlyTest] = process.argv.slice(2);

const server = await serve();
let [passed, failed, skipped] = [0, 0, 0];
for (const browserName of ['chromium', 'firefox']) {
  if (onlyBrowser && onlyBrowser !== browserName) continue;
  if (!find(browserName)) {
    console.log(`SKIPPED ${browserName}: it is not installed`);
    skipped += 1;
    continue;
  }
  let browser;
  let hasWebGpu;
  for (const { name, test, webgpu = true, browsers = [browserName] } of tests) {
    if ((onlyTest && onlyTest !== name) || !browsers.includes(browserName)) continue;
    const begin = performance.now();
    const failures = [];
    let visitor;
    try {
      if (!browser || hasWebGpu !== webgpu) {
        await browser?.close();
        browser = await open(browserName, webgpu);
        hasWebGpu = webgpu;
      }
      // As a visitor who was never here: nothing stored, nothing cached.
      visitor = await browser.createBrowserContext();
      const page = await visitor.newPage();
      page.setDefaultTimeout(120_000);
      const problems = watch(page, server.origin);
      const tolerated = [];
      const context = {
        visitor,
        browserName,
        page,
        server,
        check: (holds, what) => holds || failures.push(what),
        // What the test itself brings about.
        tolerate: (pattern) => tolerated.push(pattern),
        report: (line) => console.log(`    ${line}`),
      };
      await test(context);
      failures.push(...problems.filter((problem) => !tolerated.some((pattern) => pattern.test(problem))));
    } catch (error) {
      failures.push(error.stack ?? String(error));
    } finally {
      server.refuse = () => false;
      await visitor?.close().catch(() => undefined);
    }
    // Whatever went wrong must not reach the next test.
    if (failures.length) {
      await browser?.close();
      browser = undefined;
    }
    const seconds = ((performance.now() - begin) / 1e3).toFixed(1);
    console.log(`${failures.length ? 'FAILED' : 'ok'} ${browserName} ${name} (${seconds} s)`);
    failures.forEach((failure) => console.log(`    ${failure}`));
    failures.length ? failed++ : passed++;
  }
  await browser?.close();
}
server.close();
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed || passed === 0 ? 1 : 0);

/** What must not happen on any page: errors on the console, exceptions, and requests to elsewhere. */
function watch(page, origin) {
  const problems = [];
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => problems.push(`exception: ${error.message}`));
  page.on('request', (request) => {
    const url = request.url();
    if (!/^(blob|data|about):/.test(url) && !url.startsWith(origin)) problems.push(`a request to ${url}`);
  });
  return problems;
}
