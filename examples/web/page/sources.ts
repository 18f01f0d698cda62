import type { InputShape, Limits } from '../npm/index.js';
import type { SourceName } from './state.js';

export interface SpeechFacts {
  transcript: string;
  seconds: number;
  secondsPerPosition: number;
  source: string;
  words: { text: string; begin: number; end: number }[];
}

export interface TextFacts {
  tokens: string[];
  source: string;
}

/** What one of the three sources consists of before the worker has it. */
export interface Material {
  source: SourceName;
  bytes: Uint8Array<ArrayBuffer>;
  title: string;
  speech?: { facts: SpeechFacts; picture: ImageBitmap; audio: string };
  text?: TextFacts;
}

/** An input that the worker holds. `generation` counts inputs, so that results of another one are recognised. */
export interface Input extends Material {
  generation: number;
  shape: InputShape;
  limits: Limits;
}

type Progress = (share: number) => void;

/** Relative to the document, so that any sub-path works. */
const address = (name: string): string => new URL(`data/${name}`, document.baseURI).href;

async function request(name: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address(name));
  } catch {
    throw new Error(`${name} could not be fetched; is the network there?`);
  }
  if (!response.ok) throw new Error(`${name} could not be fetched: the server answered ${response.status}`);
  return response;
}

async function fetchBytes(name: string, progress: Progress): Promise<Uint8Array<ArrayBuffer>> {
  const response = await request(name);
  const total = Number(response.headers.get('content-length'));
  // A compressing server tells the compressed length, which says nothing about how far we are.
  const measurable = total > 0 && !response.headers.get('content-encoding') && response.body;
  if (!measurable || !response.body) return new Uint8Array(await response.arrayBuffer());
  const parts: Uint8Array[] = [];
  let received = 0;
  const reader = response.body.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    parts.push(read.value);
    received += read.value.length;
    progress(Math.min(1, received / total));
  }
  const bytes = new Uint8Array(received);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

async function fetchJson<T>(name: string): Promise<T> {
  return (await (await request(name)).json()) as T;
}

async function fetchPicture(name: string): Promise<ImageBitmap> {
  // Grey levels are data here: no colour management.
  return createImageBitmap(await (await request(name)).blob(), { colorSpaceConversion: 'none' });
}

const fetched = new Map<SourceName, Promise<Material>>();

async function fetchSpeech(progress: Progress): Promise<Material> {
  const [bytes, facts, picture] = await Promise.all([
    fetchBytes('speech.safetensors', progress),
    fetchJson<SpeechFacts>('speech.json'),
    fetchPicture('speech.png'),
  ]);
  return {
    source: 'speech',
    bytes,
    title: 'a layer of the speech recogniser Whisper tiny.en',
    speech: { facts, picture, audio: address('speech.flac') },
  };
}

async function fetchText(progress: Progress): Promise<Material> {
  const [bytes, text] = await Promise.all([fetchBytes('text.safetensors', progress), fetchJson<TextFacts>('text.json')]);
  return { source: 'text', bytes, title: 'a layer of the text encoder all-MiniLM-L6-v2', text };
}

/** One of the two sources that come with the page; fetched once. */
export function shipped(source: 'speech' | 'text', progress: Progress): Promise<Material> {
  const known = fetched.get(source);
  if (known) return known;
  const coming = source === 'speech' ? fetchSpeech(progress) : fetchText(progress);
  fetched.set(source, coming);
  // A failed fetch is tried again at the next wish.
  coming.catch(() => fetched.delete(source));
  return coming;
}

/** The visitor's own file; what is in it is for the wasm package to judge. */
export async function ownFile(file: File): Promise<Material> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name} could not be read`);
  }
  return { source: 'file', bytes, title: file.name };
}
