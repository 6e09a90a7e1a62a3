// Holds a git push back until the list of refs that it would change, which a guest wrote (hostile), has been judged.
// Limit: what `judgePushCommands` reads, 64 KiB, and one chunk.

import { judgePushCommands } from '../policy/git.ts';
import type { Call } from './call.ts';

/** The bytes that were read; the rest is still in the body. */
export async function holdPush(
  call: Pick<Call, 'body' | 'onGone'>,
  refs: string,
): Promise<{ prefix: Buffer } | { refused: string }> {
  const { promise, resolve } = Promise.withResolvers<{ prefix: Buffer } | { refused: string }>();
  const { body } = call;
  let held: Buffer = Buffer.alloc(0);
  const onReadable = () => {
    for (;;) {
      const chunk: Buffer | null = body.read();
      if (chunk === null) return;
      held = Buffer.concat([held, chunk]);
      const verdict = judgePushCommands(held, refs);
      if (verdict.state === 'allowed') return resolve({ prefix: held });
      if (verdict.state === 'refused') return resolve({ refused: verdict.reason });
    }
  };
  const onEnd = () => resolve({ refused: 'the push is refused: its list of refs is not complete' });
  body.on('readable', onReadable).on('end', onEnd);
  call.onGone(onEnd);
  onReadable();
  try {
    return await promise;
  } finally {
    body.off('readable', onReadable).off('end', onEnd);
  }
}
