// The npm package in a page of its own: every method on the GPU against the CPU.

/** Runs in the browser: results of both back ends for a file of tensors. */
async function compare(file, seed) {
  const { default: init, ClusteredAttention, presets } = await import('/npm/index.js');
  await init();
  const bytes = new Uint8Array(await (await fetch(file)).arrayBuffer());
  const settings = { ...presets().stitched, seed };
  const results = {};
  const outputs = {};
  for (const backend of ['gpu', 'cpu']) {
    const attention = await ClusteredAttention.create(backend);
    const shape = attention.setSafetensors(bytes);
    for (const method of ['exact', 'clustered', 'improved', 'stitched']) {
      const run = await attention.run(method, settings);
      const expected = outputs[method] ?? run.output;
      let [worst, largest, finite] = [0, 0, true];
      run.output.forEach((value, index) => {
        finite &&= Number.isFinite(value);
        worst = Math.max(worst, Math.abs(value - expected[index]));
        largest = Math.max(largest, Math.abs(expected[index]));
      });
      outputs[method] = run.output;
      const row = await attention.row(method, settings, 1, 17);
      const matrix = await attention.matrix(method, settings, 1, 32);
      (results[method] ??= []).push({
        backend: attention.backend,
        elements: run.output.length,
        expected: shape.heads * shape.length * shape.valueWidth,
        finite,
        difference: worst / largest,
        error: run.relativeError,
        milliseconds: run.milliseconds,
        operations: run.operations,
        rowSum: row.reduce((sum, weight) => sum + weight, 0),
        matrixSum: matrix.reduce((sum, weight) => sum + weight, 0),
      });
    }
    attention.dispose();
    const code = await attention.run('exact', settings).then(() => 'none', (error) => error.code);
    if (code !== 'disposed' || !attention.lost) throw new Error(`after dispose: ${code}`);
  }
  return results;
}

export const name = 'numbers';

export async function test({ page, server, check, report }) {
  await page.goto(server.blank);
  for (const [file, seed] of [['/data/text.safetensors', 0], ['/data/text.safetensors', 7]]) {
    const results = await page.evaluate(compare, file, seed);
    for (const [method, [gpu, cpu]] of Object.entries(results)) {
      check(gpu.backend === 'gpu' && cpu.backend === 'cpu', `${method}: both back ends ran`);
      check(gpu.elements === gpu.expected && gpu.finite && cpu.finite, `${method}: the output is whole and finite`);
      check(cpu.difference < 1e-4, `${method}: GPU and CPU differ by ${cpu.difference} of the largest value`);
      check(method === 'exact' ? gpu.error < 1e-5 : Math.abs(gpu.error - cpu.error) < 5e-4 * cpu.error, `${method}: errors ${gpu.error} and ${cpu.error}`);
      check(method === 'exact' || gpu.error > 0.01, `${method}: an approximation has an error, ${gpu.error}`);
      for (const run of [gpu, cpu]) {
        check(Math.abs(run.rowSum - 1) < 1e-4, `${method}: a row sums to ${run.rowSum}`);
        check(Math.abs(run.matrixSum - 32) < 1e-2, `${method}: the image sums to ${run.matrixSum}`);
      }
      report(`${method} seed ${seed}: error ${gpu.error.toFixed(4)} (CPU ${cpu.error.toFixed(4)}), difference ${cpu.difference.toExponential(1)}, ${gpu.milliseconds.toFixed(1)} ms (CPU ${cpu.milliseconds.toFixed(1)} ms)`);
    }
  }
}
