// Passes bytes both ways, as fast as the slower side takes them. A half that ends is ended at the other side; one that
// breaks resets both.

import type { Http2Stream } from 'node:http2';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pour } from '../host/pour.ts';

const LINGER_MS = 10_000;

export function relay(client: Duplex, guest: Duplex): void {
  const breakBoth = () => {
    abort(client);
    abort(guest);
  };
  for (const [side, other] of [
    [client, guest],
    [guest, client],
  ] as const) {
    side.on('error', breakBoth);
    side.once('close', () => {
      if (side === guest && side.readableEnded && !wasReset(side)) return linger(client, guest);
      const clean = side.readableEnded && side.writableFinished && !wasReset(side);
      if (!clean || !other.readableEnded) breakBoth();
    });
    // A reset stream of HTTP/2 tells an end first.
    side.once('end', () => setImmediate(() => (wasReset(side) ? breakBoth() : other.end())));
    if (side.destroyed) breakBoth();
  }
  client.pipe(guest, { end: false });
  pour(guest, client);
}

/** The guest has said all and takes no more: the client gets it whole, and what it still sends is dropped. */
function linger(client: Duplex, guest: Duplex): void {
  client.unpipe(guest);
  client.once('finish', () => {
    const timer = setTimeout(() => client.destroy(), LINGER_MS);
    client.once('close', () => clearTimeout(timer));
  });
  client.end();
  client.resume();
}

/** Ends a side so that the program behind it sees an error, not an end. */
export function abort(side: Duplex): void {
  if (side.destroyed) return;
  if (side instanceof Socket) {
    // A socket that has sent its end cannot be reset, and would never be told closed.
    if (side.writableEnded) side.destroy();
    else side.resetAndDestroy();
  } else side.destroy(new Error('reset'));
}

export function wasReset(side: Duplex): boolean {
  return 'rstCode' in side && ((side as Http2Stream).rstCode ?? 0) !== 0;
}
