import type { Input } from '../sources.js';

/** One word of a recording, by position. */
export interface SpokenWord {
  text: string;
  first: number;
  last: number;
}

export function secondsPerPosition(input: Input): number {
  return input.speech?.facts.secondsPerPosition ?? 0.02;
}

export function spokenWords(input: Input): SpokenWord[] {
  const step = secondsPerPosition(input);
  return (input.speech?.facts.words ?? []).map(({ text, begin, end }) => ({
    text,
    first: Math.floor(begin / step),
    last: Math.max(Math.floor(begin / step), Math.ceil(end / step) - 1),
  }));
}

/** A token without the marks of its tokenizer. */
export function plainToken(token: string): string {
  return token.startsWith('##') ? token.slice(2) : token;
}

function clock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(2).padStart(5, '0')}`;
}

/** What stands at a position, in a few words. */
export function labelOf(input: Input, position: number): string {
  if (input.text) return `${position} “${plainToken(input.text.tokens[position] ?? '')}”`;
  if (input.speech) {
    const word = spokenWordAt(input, position);
    return `${position} (${clock(position * secondsPerPosition(input))}${word ? `, “${word.text}”` : ''})`;
  }
  return String(position);
}

function spokenWordAt(input: Input, position: number): SpokenWord | undefined {
  return spokenWords(input).find((word) => position >= word.first && position <= word.last);
}
