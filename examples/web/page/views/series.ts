import type { MethodName } from '../../npm/index.js';
import { themeColour } from '../colours.js';

/** A method's line, alike in every chart: the dash tells methods apart where colour does not. */
export interface Line {
  colour(): string;
  dash: number[];
  width: number;
}

// The colours are Okabe and Ito's, darkened or lightened in the style sheet for contrast with the theme's ground.
const LINES: Record<MethodName, Line> = {
  exact: { colour: () => themeColour('--exact'), dash: [], width: 2.25 },
  clustered: { colour: () => themeColour('--clustered'), dash: [2, 3], width: 1.75 },
  improved: { colour: () => themeColour('--improved'), dash: [7, 3], width: 1.75 },
  stitched: { colour: () => themeColour('--stitched'), dash: [12, 3, 3, 3], width: 1.75 },
};

/** The line as uPlot takes it, in the theme's colours of the moment. */
export function lineSeries(method: MethodName): { label: string; stroke: string; dash: number[]; width: number } {
  const { colour, dash, width } = LINES[method];
  return { label: method, stroke: colour(), dash, width };
}

/** A sample of the line for legends. */
export function lineSample(method: MethodName): SVGSVGElement {
  const namespace = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(namespace, 'svg');
  svg.setAttribute('viewBox', '0 0 36 8');
  svg.setAttribute('width', '36');
  svg.setAttribute('height', '8');
  svg.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS(namespace, 'line');
  const { dash, width } = LINES[method];
  const attributes = { x1: 0, y1: 4, x2: 36, y2: 4, 'stroke-width': width + 0.5, 'stroke-dasharray': dash.join(' ') };
  for (const [name, value] of Object.entries(attributes)) line.setAttribute(name, String(value));
  line.style.stroke = `var(--${method})`;
  svg.append(line);
  return svg;
}
