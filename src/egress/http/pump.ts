// Moves a body from one connection to the next, never faster than it is taken, and counts it.

import type { Readable, Transform } from 'node:stream';
import type { Sink } from './call.ts';
import type { HeaderList } from './headers.ts';

export interface Pumping {
  count(bytes: number): void;
  trailers(): HeaderList;
  /** The source ended before its body did. */
  broke(): void;
}

export function pump(source: Readable, sink: Sink, { count, trailers, broke }: Pumping): void {
  source.on('data', (chunk: Buffer) => count(chunk.length));
  if (source.readableEnded) {
    sink.end(trailers());
    return;
  }
  source.once('end', () => sink.end(trailers()));
  source.on('error', broke);
  source.once('close', () => {
    if (!source.readableEnded) broke();
  });
  if (source.destroyed && !source.readableEnded) broke();
  else source.pipe(sink.stream, { end: false });
}

/** What comes out of `stream` when `source` goes in; it breaks when its source does. */
export function through(source: Readable, stream: Transform): Transform {
  const broke = () => {
    if (!source.readableEnded) stream.destroy();
  };
  source.on('error', broke).once('close', broke);
  if (source.readableEnded) stream.end();
  else if (source.destroyed) stream.destroy();
  else source.pipe(stream);
  return stream;
}
