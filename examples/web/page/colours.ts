// Colour maps are those of matplotlib (viridis, plasma) and ColorBrewer (PuOr, safe without colour vision), from the tables of d3-scale-chromatic.
import { interpolatePlasma, interpolatePuOr, interpolateViridis } from 'd3-scale-chromatic';

export type Colour = readonly [red: number, green: number, blue: number];
export type Scale = 'log' | 'linear';

/** Decades shown below the largest value on logarithmic scales of pictures. */
const DECADES = 3;

function parse(text: string): Colour {
  // Builds shorten colours where they can.
  const short = /^#(.)(.)(.)$/.exec(text);
  if (short) return parse(`#${short[1]}${short[1]}${short[2]}${short[2]}${short[3]}${short[3]}`);
  const hex = /^#(..)(..)(..)$/.exec(text);
  if (hex) return [parseInt(hex[1], 16), parseInt(hex[2], 16), parseInt(hex[3], 16)];
  const [red, green, blue] = (text.match(/[\d.]+/g) ?? ['0', '0', '0']).map(Number);
  return [red, green, blue];
}

function table(interpolate: (t: number) => string): Colour[] {
  return Array.from({ length: 256 }, (_, index) => parse(interpolate(index / 255)));
}

const viridisTable = table(interpolateViridis);
const divergingTable = table(interpolatePuOr);

function look(colours: Colour[], t: number): Colour {
  // What is no number is nothing.
  return colours[Math.max(0, Math.min(255, Math.round(t * 255) || 0))];
}

export const viridis = (t: number): Colour => look(viridisTable, t);
/** -1 … 1: purple where the method gives too little, orange where too much. */
export const diverging = (t: number): Colour => look(divergingTable, (t + 1) / 2);

export function css([red, green, blue]: Colour, alpha = 1): string {
  return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}

/**
 * A colour a cluster. Golden-ratio steps put neighbouring numbers far apart in lightness, which survives every kind of colour vision;
 * two maps in turn keep apart what would be alike in one.
 */
export function clusterColour(cluster: number): Colour {
  const t = (0.12 + cluster * 0.61803398875) % 1;
  return parse((cluster % 2 ? interpolatePlasma : interpolateViridis)(0.04 + 0.94 * t));
}

/** Places a weight in 0 … 1 of a colour map. */
export function intensity(weight: number, largest: number, scale: Scale): number {
  if (!(weight > 0) || !(largest > 0)) return 0;
  if (scale === 'linear') return Math.min(1, weight / largest);
  return Math.max(0, Math.min(1, 1 + Math.log10(weight / largest) / DECADES));
}

/** The smallest value that `intensity` tells from nothing. */
export function smallestShown(largest: number, scale: Scale): number {
  return scale === 'linear' ? 0 : largest / 10 ** DECADES;
}

function luminance(colour: Colour): number {
  const [red, green, blue] = colour.map((part) => {
    const value = part / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Black or white, whichever reads better on the colour. */
export function inkOn(colour: Colour): string {
  return luminance(colour) > 0.179 ? '#000' : '#fff';
}

/** A heat colour over the page's own ground: nothing stays the ground, much becomes the far end of viridis. */
export function heat(t: number, dark: boolean, ground: Colour): Colour {
  const colour = viridis(dark ? 0.12 + 0.88 * t : 1 - 0.92 * t);
  const share = Math.min(1, t * 2.2);
  return [0, 1, 2].map((part) => Math.round(ground[part] + (colour[part] - ground[part]) * share)) as unknown as Colour;
}

export function isDark(): boolean {
  return document.documentElement.dataset.theme === 'dark';
}

export function themeColour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function ground(): Colour {
  return parse(themeColour('--panel'));
}
