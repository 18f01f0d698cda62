const whole = new Intl.NumberFormat('en');

export function count(value: number): string {
  return whole.format(value);
}

export function milliseconds(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} s`;
  if (value >= 1000) return `${(value / 1000).toFixed(2)} s`;
  if (value >= 100) return `${value.toFixed(0)} ms`;
  if (value >= 10) return `${value.toFixed(1)} ms`;
  return `${value.toFixed(2)} ms`;
}

/** An error or weight: three digits that matter, never rounded to a false zero. */
export function fraction(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  if (Math.abs(value) < 0.0005) return scientific(value);
  return value >= 10 ? value.toFixed(1) : value.toFixed(3);
}

const superscripts: Record<string, string> = {
  '-': '⁻', '0': '⁰', '1': '¹', '2': '²', '3': '³', '4': '⁴', '5': '⁵', '6': '⁶', '7': '⁷', '8': '⁸', '9': '⁹',
};

export function powerOfTen(exponent: number): string {
  return '10' + [...String(exponent)].map((digit) => superscripts[digit] ?? digit).join('');
}

export function scientific(value: number): string {
  if (value === 0) return '0';
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  return `${(value / 10 ** exponent).toFixed(1)}·${powerOfTen(exponent)}`;
}

export function bytes(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value >= 1024 ** 3) return `${(value / 1024 ** 3).toFixed(2)} GiB`;
  if (value >= 1024 ** 2) return `${(value / 1024 ** 2).toFixed(1)} MiB`;
  if (value >= 1024) return `${(value / 1024).toFixed(0)} KiB`;
  return `${value} B`;
}

export function operations(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value >= 1e12) return `${(value / 1e12).toFixed(2)} T`;
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)} G`;
  return `${(value / 1e6).toFixed(1)} M`;
}

/** How many times faster; below ten with one digit more, so that 0.8× and 1.2× can be told apart. */
export function times(value: number): string {
  if (!Number.isFinite(value)) return '–';
  return `${value >= 10 ? value.toFixed(0) : value.toFixed(1)}×`;
}

export function percent(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const hundredths = value * 100;
  if (hundredths > 0 && hundredths < 1) return '<1 %';
  return `${hundredths.toFixed(0)} %`;
}

export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
