// Reads a flow's first bytes, which are hostile, until somebody can tell what they are, and puts them back. Holds at
// most one message of TLS.

import type { Duplex } from 'node:stream';
import { classify, type Spoken } from './classify.ts';

export interface Peeked {
  spoken: Exclude<Spoken, { kind: 'unclear' }> | { kind: 'silence' } | { kind: 'ended' };
  /** What was read and could not be put back, because the client has ended its side. */
  head: Buffer | null;
}

export interface PeekTimes {
  /** Nothing at all came: a client that waits for the server to speak. */
  silenceMs: number;
  /** It began and did not get clear. */
  completeMs: number;
}

export function peek(flow: Duplex, { silenceMs, completeMs }: PeekTimes): Promise<Peeked> {
  const { promise, resolve } = Promise.withResolvers<Peeked>();
  let held: Buffer = Buffer.alloc(0);
  let timer = setTimeout(() => settle({ kind: 'silence' }), silenceMs);

  const onReadable = () => {
    const chunk: Buffer | null = flow.read();
    if (chunk === null) return;
    if (held.length === 0) {
      clearTimeout(timer);
      timer = setTimeout(() => settle({ kind: 'other' }), completeMs);
    }
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    const spoken = classify(held);
    if (spoken.kind !== 'unclear') settle(spoken);
  };
  const onEnd = () => settle(held.length === 0 ? { kind: 'ended' } : { kind: 'other' }, true);
  const onClose = () => settle({ kind: 'ended' }, true);

  const settle = (spoken: Peeked['spoken'], ended = false) => {
    clearTimeout(timer);
    flow.off('readable', onReadable).off('end', onEnd).off('close', onClose);
    // In the same tick as the read: later the end may have been told already.
    if (!ended && held.length > 0) flow.unshift(held);
    resolve({ spoken, head: ended && held.length > 0 ? held : null });
  };
  flow.on('readable', onReadable).on('end', onEnd).on('close', onClose);
  return promise;
}
