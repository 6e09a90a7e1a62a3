// Moves a body from one connection to the next, never faster than it is taken, and counts it.

import type { Readable, Transform, Writable } from 'node:stream';
import { pour } from '../../host/pour.ts';
import type { Sink } from './call.ts';
import type { HeaderList } from './headers.ts';

export interface Pumping {
  count(bytes: number): void;
  trailers(): HeaderList;
  /** The source ended before its body did. */
  broke(): void;
  /** Who else gets the bytes; it is ended with them, and destroyed by whoever made it. */
  copy?: Writable | null;
}

export function pump(source: Readable, sink: Sink, { count, trailers, broke, copy = null }: Pumping): void {
  const end = () => {
    sink.end(trailers());
    copy?.end();
  };
  if (source.readableEnded) {
    end();
    return;
  }
  source.once('end', end);
  source.on('error', broke);
  source.once('close', () => {
    if (!source.readableEnded) broke();
  });
  if (source.destroyed && !source.readableEnded) broke();
  else pour(source, sink.stream, count, copy);
}

/** What comes out of `stream` when `source` goes in; it breaks when its source does. */
export function through(source: Readable, stream: Transform): Transform {
  const broke = () => {
    if (!source.readableEnded) stream.destroy();
  };
  source.on('error', broke).once('close', broke);
  if (source.readableEnded) stream.end();
  else if (source.destroyed) stream.destroy();
  else {
    source.once('end', () => stream.end());
    pour(source, stream);
  }
  return stream;
}
