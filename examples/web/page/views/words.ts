import { css, ground, heat, inkOn, intensity, isDark, type Scale } from '../colours.js';

/** Lays weights over words: a span's ground gets the heat of its weight, its ink whatever reads best on that. */
export function paintWords(spans: readonly HTMLElement[], weights: readonly number[] | Float32Array, scale: Scale): void {
  let largest = 0;
  for (let index = 0; index < spans.length; index += 1) largest = Math.max(largest, weights[index]);
  const base = ground();
  const dark = isDark();
  spans.forEach((span, index) => {
    const t = intensity(weights[index], largest, scale);
    if (t < 0.02) {
      span.style.background = '';
      span.style.color = '';
      return;
    }
    const colour = heat(t, dark, base);
    span.style.background = css(colour);
    span.style.color = inkOn(colour);
  });
}
