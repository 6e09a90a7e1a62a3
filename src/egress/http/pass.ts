// Passes bodies, answers and WebSockets between the guest's side and the origin's. Opaque from here on, and counted.

import type { Transform, Writable } from 'node:stream';
import { relay } from '../flow/relay.ts';
import type { Call, Outgoing, Response, Sent, Switched } from './call.ts';
import type { HeaderList } from './headers.ts';
import { pump, through } from './pump.ts';

/** What may carry anything out, as much as a body: in the spelling of HTTP/1.1. */
export function headBytes({ method, path, authority, headers }: Outgoing): number {
  return `${method} ${path}`.length + authority.length + listBytes(headers);
}

function listBytes(headers: HeaderList): number {
  return headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);
}

/** `prefix`: what was read of it already. `stream`: what the rest passes through, unless that is all. */
export function passBody(
  call: Call,
  sent: Sent,
  { prefix, stream }: { prefix: Buffer | null; stream?: Transform | undefined },
  count: (bytes: number) => void,
): void {
  const sink = sent.sink!;
  if (prefix && prefix.length > 0) {
    count(prefix.length);
    sink.stream.write(prefix);
  }
  const rest = stream && !stream.readableEnded ? through(call.body, stream) : call.body;
  const trailers = () => {
    const all = call.trailers();
    count(listBytes(all));
    return all;
  };
  pump(rest, sink, { count, trailers, broke: sent.abort });
}

/**
 * Resolves once everything has been passed on; false when the answer cannot be told to the client at all. `copy` gets the
 * body too.
 */
export async function passResponse(
  call: Call,
  sent: Pick<Sent, 'abort'>,
  outcome: Response | Switched,
  counts: { up: number; down: number },
  copy: Writable | null = null,
): Promise<boolean> {
  if (outcome.kind === 'switched') {
    await relay(call.switchProtocols(outcome.rawHeaders), outcome.socket, null, counts);
    return true;
  }
  const { head, body } = outcome;
  let sink: ReturnType<Call['begin']>;
  try {
    sink = call.begin(head);
  } catch {
    sent.abort();
    return false;
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  call.onGone(resolve);
  sink.stream.once('finish', resolve);
  if (head.bodiless) {
    body.on('error', () => {});
    body.resume();
    sink.end([]);
  } else {
    pump(body, sink, {
      count: (bytes) => {
        counts.down += bytes;
      },
      trailers: outcome.trailers,
      copy,
      broke: () => {
        call.abort();
        resolve();
      },
    });
  }
  await promise;
  return true;
}
