// Passes bytes of an opaque flow both ways, as fast as the slower side takes them, and counts them. A half that ends
// is ended at the other side; one that breaks resets both.

import type { Http2Stream } from 'node:http2';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { pour } from '../../host/pour.ts';
import { Pieces } from './pieces.ts';

export interface Counts {
  up: number;
  down: number;
}

/** Resolves once both sides are gone. `head` was read from `flow` before. */
export function relay(flow: Duplex, upstream: Duplex, head: Buffer | null, counts: Counts): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let open = 2;
  const closed = () => {
    open -= 1;
    if (open === 0) resolve();
  };
  const breakBoth = () => {
    abort(flow);
    abort(upstream);
  };
  for (const [side, other] of [
    [flow, upstream],
    [upstream, flow],
  ] as const) {
    side.on('error', breakBoth);
    side.once('close', () => {
      const clean = side.readableEnded && side.writableFinished && !wasReset(side);
      // And there must be nothing left that it should have taken.
      if (!clean || !other.readableEnded) breakBoth();
      closed();
    });
    // A reset stream of HTTP/2 tells an end first.
    const ended = () => setImmediate(() => (wasReset(side) ? breakBoth() : other.end()));
    if (side.readableEnded) ended();
    else side.once('end', ended);
    if (side.destroyed) {
      breakBoth();
      closed();
    }
  }
  if (head) {
    counts.up += head.length;
    upstream.write(head);
  }
  pour(flow, upstream, (bytes) => {
    counts.up += bytes;
  });
  pour(upstream, flow, (bytes) => {
    counts.down += bytes;
  });
  return promise;
}

/** Ends a side so that the program behind it sees an error, not an end. */
export function abort(side: Duplex): void {
  if (side.destroyed) return;
  if (side instanceof Pieces) {
    side.reset();
    return;
  }
  if (side instanceof Socket && !(side instanceof TLSSocket)) {
    // A socket that has sent its end cannot be reset, and would never be told closed.
    if (side.writableEnded) side.destroy();
    else side.resetAndDestroy();
    return;
  }
  // Closing a stream of HTTP/2 with a code would send an end before the reset, and so would destroying it with none.
  side.destroy(side instanceof TLSSocket ? undefined : new Error('reset'));
}

function wasReset(side: Duplex): boolean {
  return 'rstCode' in side && ((side as Http2Stream).rstCode ?? 0) !== 0;
}
