// The npm package at the edges of its life: before `init`, while calls overlap, after `dispose`, and when the device is lost.

export const name = 'package';

/** Runs in the browser: what calls end with, by name. */
async function tryEverything() {
  const { default: init, ClusteredAttention, presets, unsupported } = await import('/npm/index.js');
  const ending = async (call) => {
    try {
      await call();
      return { code: 'none', message: '' };
    } catch (error) {
      return { code: error.code, message: error.message, isError: error instanceof Error };
    }
  };
  const shape = { heads: 1, length: 24, width: 8, valueWidth: 8 };
  const numbers = (seed) => Float32Array.from({ length: 24 * 8 }, (_, index) => Math.sin(seed + index * 0.7));
  const give = (attention, seed) => attention.setInput(numbers(seed), numbers(seed + 1), numbers(seed + 2), shape);
  const calls = (attention, settings) => ({
    setInput: () => give(attention, 0),
    setSafetensors: () => attention.setSafetensors(new Uint8Array(9)),
    setSynthetic: () => attention.setSynthetic(shape, 1),
    setTiled: () => attention.setTiled(48, 1),
    limits: () => attention.limits(),
    run: () => attention.run('exact', settings),
    groups: () => attention.groups(settings),
    row: () => attention.row('exact', settings, 0, 0),
    matrix: () => attention.matrix('exact', settings, 0, 4),
  });
  const endings = async (attention, settings) => {
    const found = {};
    for (const [call, make] of Object.entries(calls(attention, settings))) found[call] = await ending(make);
    return found;
  };

  const early = { presets: await ending(() => presets()), create: await ending(() => ClusteredAttention.create('cpu')) };
  const lack = unsupported();
  await init();
  const settings = { ...presets().stitched, clusters: 4, topK: 3, window: 1 };
  const refused = {
    constructor: await ending(() => new ClusteredAttention()),
    'back end': await ending(() => ClusteredAttention.create('tpu')),
  };

  const attention = await ClusteredAttention.create('cpu');
  refused['no input'] = await ending(() => attention.run('exact', settings));
  give(attention, 0);
  refused.method = await ending(() => attention.run('fast', settings));
  refused.settings = await ending(() => attention.run('stitched', { ...settings, clusters: 0 }));
  refused.space = await ending(() => attention.run('stitched', { ...settings, space: 'plain' }));
  refused.guard = await ending(() => attention.run('stitched', { ...settings, guard: 'perhaps' }));
  refused.position = await ending(() => attention.row('exact', settings, 0, 24));

  // What may be left out of the settings is as it was before it was there.
  const { keyGroups, space, samples, ...before } = settings;
  const outputOf = async (given) => String((await attention.run('stitched', given)).output);
  const leftOut = (await outputOf(before)) === (await outputOf({ ...before, keyGroups: 0, space: 'hamming', samples: 512 }));
  const isNew = (await outputOf(before)) !== (await outputOf(settings));

  // What a call computes with is settled when it is made.
  const alone = {
    run: (await attention.run('stitched', settings)).output,
    error: (await attention.run('stitched', settings)).relativeError,
    clusters: (await attention.groups(settings)).clusters,
    row: await attention.row('stitched', settings, 0, 5),
    matrix: await attention.matrix('stitched', settings, 0, 4),
  };
  give(attention, 0);
  const mutable = { ...settings };
  const promises = [
    attention.run('stitched', mutable),
    attention.groups(mutable),
    attention.row('stitched', mutable, 0, 5),
    attention.matrix('stitched', mutable, 0, 4),
  ];
  give(attention, 100);
  mutable.clusters = 1;
  const later = await attention.run('stitched', settings);
  const [run, groups, row, matrix] = await Promise.all(promises);
  const together = { run: run.output, error: run.relativeError, clusters: groups.clusters, row, matrix };
  const overlapped = Object.keys(alone).filter((what) => String(alone[what]) !== String(together[what]));
  const differs = String(later.output) !== String(alone.run);

  const interrupted = ending(() => attention.run('exact', settings));
  attention.dispose();
  attention.free();
  const disposed = { ...(await endings(attention, settings)), interrupted: await interrupted };
  const facts = { lost: attention.lost, backend: attention.backend, adapter: attention.adapter };

  // The device is destroyed behind the package's back.
  let device;
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (...given) {
    return (device = await requestDevice.apply(this, given));
  };
  const onGpu = await ClusteredAttention.create('gpu');
  give(onGpu, 0);
  await onGpu.run('exact', settings);
  const wasLost = onGpu.lost;
  device.destroy();
  const first = await ending(() => onGpu.run('exact', settings));
  const lost = { first, ...(await endings(onGpu, settings)) };
  return { early, lack, refused, leftOut, isNew, overlapped, differs, disposed, facts, wasLost, lost, isLost: onGpu.lost };
}

export async function test({ page, server, check }) {
  await page.goto(server.blank);
  const found = await page.evaluate(tryEverything);
  const all = (group, code, words) => {
    for (const [call, { code: actual, message, isError }] of Object.entries(found[group])) {
      check(actual === code && isError && words.test(message), `${group}, ${call}: ${actual}, ${message}`);
      check(!/malloc|null pointer|undefined|unreachable/.test(message), `${group}, ${call} speaks of memory: ${message}`);
    }
  };
  check(found.lack === undefined, `this browser lacks ${found.lack}`);
  all('early', 'not-initialised', /`init\(\)`/);
  all('refused', 'refused', /create|back end|input|method|clusters|metric|position|recompute/);
  check(found.leftOut && found.isNew, `settings left out: ${found.leftOut}, new: ${found.isNew}`);
  check(found.overlapped.length === 0, `a later input changed ${found.overlapped}`);
  check(found.differs, 'the later input gives other numbers');
  all('disposed', 'disposed', /disposed of; create another/);
  check(found.facts.lost && found.facts.backend === 'cpu' && /CPU/.test(found.facts.adapter), JSON.stringify(found.facts));
  check(!found.wasLost && found.isLost, `lost: ${found.wasLost}, then ${found.isLost}`);
  all('lost', 'device-lost', /the device is gone.*create another/s);
}
