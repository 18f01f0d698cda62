// What tests of the page do again and again.

/** The element of a test id. */
export const at = (id) => `[data-testid="${id}"]`;

/** Waits until the page has nothing left to compute, or is in another state that is named. */
export async function settled(page, state = 'ready', timeout = 120_000) {
  await page.waitForFunction((wanted) => document.querySelector('[data-testid="app"]')?.dataset.state === wanted, { timeout, polling: 100 }, state);
}

/** A card's numbers. */
export function card(page, method) {
  return page.$eval(at(`card-${method}`), ({ dataset: { error, milliseconds, operations, stale } }) => ({
    error: Number(error),
    milliseconds: Number(milliseconds),
    operations: Number(operations),
    stale: stale === 'true',
  }));
}

/** Gives a control another value, as a hand would. */
export async function control(page, name, value) {
  await page.$eval(at(`control-${name}`), (input, next) => {
    if (input.type === 'checkbox') {
      input.click();
      return;
    }
    input.value = String(next);
    input.dispatchEvent(new Event('input', { bubbles: true }));
    input.dispatchEvent(new Event('change', { bubbles: true }));
  }, value);
}

/** Waits for a card that differs from what it was in one of its numbers, and is not of other settings. */
export async function changed(page, method, before, field) {
  await page.waitForFunction(
    (selector, name, was) => {
      const { dataset } = document.querySelector(selector);
      return dataset.stale !== 'true' && Number(dataset[name]) !== was;
    },
    { timeout: 60_000, polling: 50 },
    at(`card-${method}`),
    field,
    before[field],
  );
  return card(page, method);
}

export const text = (page, id) => page.$eval(at(id), (element) => element.textContent.trim());

export const click = (page, id) => page.$eval(at(id), (element) => element.click());

export const visible = (page, id) => page.$eval(at(id), (element) => element.offsetParent !== null || getComputedStyle(element).position === 'fixed' && !element.hidden);
