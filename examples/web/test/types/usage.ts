// Compiled, never run: programs that the package's types must take, and, behind `@ts-expect-error`, ones that they must not.
import init, { ClusteredAttention, initSync, presets, unsupported } from '../../npm/index.js';
import type { ClusteredAttentionError, ErrorCode, Run, Settings } from '../../npm/index.js';

export async function computes(module: WebAssembly.Module): Promise<Run> {
  const lack: string | undefined = unsupported();
  if (lack) throw new Error(lack);
  await init();
  await init({ module_or_path: module });
  initSync({ module });
  const attention = await ClusteredAttention.create();
  const asked = await ClusteredAttention.create('gpu');
  const { keyGroups, space, samples, ...before }: Required<Settings> = { ...presets().stitched, window: null };
  const settings: Settings = before;
  const numbers = new Float32Array(64);
  attention.setInput(numbers, numbers, numbers, { heads: 1, length: 8, width: 8, valueWidth: 8 });
  const { backend, lost, fallbackReason }: { backend: 'gpu' | 'cpu'; lost: boolean; fallbackReason: string | undefined } = asked;
  console.log(backend, lost, fallbackReason);
  try {
    return await attention.run('stitched', settings);
  } catch (error) {
    const code: ErrorCode = (error as ClusteredAttentionError).code;
    throw new Error(code);
  } finally {
    attention.dispose();
  }
}

export async function isRefused(attention: ClusteredAttention): Promise<void> {
  // @ts-expect-error there is no such back end
  await ClusteredAttention.create('tpu');
  // @ts-expect-error there is no such method
  await attention.run('fast', presets().paper);
  // @ts-expect-error there is no such space
  await attention.run('stitched', { ...presets().paper, space: 'euclidean' });
  // @ts-expect-error objects come from `create`
  new ClusteredAttention();
}
