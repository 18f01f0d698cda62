import { css, ground, heat, isDark } from '../colours.js';
import { byId } from '../dom.js';

const STOPS = 8;

/** The ground of words and sounds from nothing to the most, in the theme's colours of the moment. */
export function paintLegend(): void {
  const stops = Array.from({ length: STOPS + 1 }, (_, step) => css(heat(step / STOPS, isDark(), ground())));
  byId('fill-sample').style.background = `linear-gradient(to right, ${stops.join(', ')})`;
}
