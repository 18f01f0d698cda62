// Files that tests give to the page.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at } from './page.mjs';

/** A safetensors file of tensors `{ name: [type, shape, bytes] }`. */
export function safetensors(tensors) {
  const header = {};
  let offset = 0;
  for (const [key, [dtype, shape, bytes]] of Object.entries(tensors)) {
    header[key] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
  }
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, text, ...Object.values(tensors).map(([, , bytes]) => bytes)]);
}

/** A tensor of 32-bit floats; `value` gets a wave and the number's index. */
export function floats(shape, value = (wave) => wave) {
  const count = shape.reduce((product, size) => product * size, 1);
  const values = Float32Array.from({ length: count }, (_, index) => value(Math.sin(index * 0.37), index));
  return ['F32', shape, Buffer.from(values.buffer)];
}

/** Calls with a function that gives the page a file of this name and these bytes. */
export async function withFiles(page, use) {
  const folder = await mkdtemp(join(tmpdir(), 'clustered-attention-'));
  try {
    await use(async (file, bytes) => {
      await writeFile(join(folder, file), bytes);
      const input = await page.$(at('source-file'));
      await input.uploadFile(join(folder, file));
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}
