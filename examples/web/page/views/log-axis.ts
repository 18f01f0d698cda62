// Logarithmic axes. The chart library looks for their ticks by adding up from the lower end, and never arrives where that lies just below a
// power of ten (9.5e-8 rounds to 1e-7): it takes the page's memory for half a minute. Here axes begin at a power, and ticks are counted.

/** 1, 10, 100 …, and their inverses, exactly: `10 ** -24` is not `1e-24`. */
const power = (exponent: number): number => Number(`1e${exponent}`);

/** The largest power of ten that is not above a positive number. */
export function powerBelow(value: number): number {
  const exponent = Math.floor(Math.log10(value));
  const found = power(exponent);
  return found <= value ? found : power(exponent - 1);
}

/** The smallest power of ten that is not below a positive number. */
export function powerAbove(value: number): number {
  const exponent = Math.ceil(Math.log10(value));
  const found = power(exponent);
  return found >= value ? found : power(exponent + 1);
}

/** Ticks of a logarithmic axis: 1 … 9 times each power of ten between its ends. */
export function logTicks(min: number, max: number): number[] {
  const ticks: number[] = [];
  if (!(min > 0) || !(max < Infinity)) return ticks;
  for (let exponent = Math.floor(Math.log10(min)) - 1; exponent <= Math.log10(max); exponent += 1) {
    for (let digit = 1; digit <= 9; digit += 1) {
      const tick = Number(`${digit}e${exponent}`);
      if (tick >= min && tick <= max) ticks.push(tick);
    }
  }
  return ticks;
}
