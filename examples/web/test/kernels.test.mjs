// Kernels as hardware gets them, compiled by the browser: the adapters of test machines are software, and get others.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const name = 'kernels';

/** Runs in the browser: what it says against each module, and against some kernels' pipelines. */
async function compile(kernels) {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter.requestDevice();
  const complaints = [];
  for (const { file, code, whole } of kernels) {
    const module = device.createShaderModule({ code });
    const { messages } = await module.getCompilationInfo();
    messages.filter(({ type }) => type !== 'info').forEach(({ lineNum, message }) => complaints.push(`${file}:${lineNum}: ${message}`));
    if (!whole) continue;
    const entryPoint = file.split('.')[0];
    await device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint } }).catch((error) => complaints.push(`${file}: ${error.message}`));
  }
  device.destroy();
  return complaints;
}

export async function test({ page, server, check, report }) {
  const folder = process.env.CLUSTERED_ATTENTION_KERNELS;
  const sets = readdirSync(folder).sort();
  const kernels = sets.flatMap((set) =>
    readdirSync(join(folder, set)).sort().map((file) => ({ set, file, code: readFileSync(join(folder, set, file), 'utf8') })));
  const blocks = kernels.filter(({ code }) => code.includes('BLOCK_QUERIES: u32 = 4u') && code.includes('workgroupBarrier'));
  check(blocks.length >= 6, `only ${blocks.length} kernels have tiles of blocks`);
  // Software takes seconds over a pipeline of blocks; the narrowest of each kernel will do.
  for (const kernel of kernels) kernel.whole = kernel.set === 'odd' && blocks.includes(kernel);
  await page.goto(server.page);
  const complaints = await page.evaluate(compile, kernels);
  complaints.forEach((complaint) => check(false, complaint));
  report(`${kernels.length} kernels`);
}
