// Where a slider can stand. Up to its fine end each number has a stop; beyond, stops grow by a constant factor, so that the most that is
// allowed lies at the slider's end and small numbers can still be told apart.

/** Stops for doubling a number. */
const STOPS_OF_AN_OCTAVE = 16;

/** Ascending from `least` to `most`, both included. */
export function stopsOf(least: number, fineEnd: number, most: number): number[] {
  const stops: number[] = [];
  for (let value = least; value <= Math.min(fineEnd, most); value += 1) stops.push(value);
  for (let value = fineEnd; value < most; ) {
    value = Math.min(most, Math.max(value + 1, Math.round(value * 2 ** (1 / STOPS_OF_AN_OCTAVE))));
    stops.push(value);
  }
  return stops;
}

/** The index of the stop that is nearest to a value. */
export function nearestStop(stops: readonly number[], value: number): number {
  const above = stops.findIndex((stop) => stop >= value);
  if (above < 0) return stops.length - 1;
  return above > 0 && value - stops[above - 1] < stops[above] - value ? above - 1 : above;
}
