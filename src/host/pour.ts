// Passes bytes on as fast as they are taken. What has come since goes at once: where a side that cuts its bytes fine sent
// many small pieces, whoever takes them holds one.

import type { Readable, Writable } from 'node:stream';

/**
 * Until `into` is destroyed. The end of `source` is told by itself, once all before it was written. `copy` gets the same
 * bytes, and sets the pace too as long as it lives.
 */
export function pour(
  source: Readable,
  into: Writable,
  count: (bytes: number) => void = () => {},
  copy: Writable | null = null,
): void {
  let waiting = 0;
  const sinks = copy ? [into, copy] : [into];
  const move = () => {
    while (waiting === 0 && !into.destroyed) {
      const all: Buffer | null = source.read();
      if (all === null) return;
      count(all.length);
      for (const sink of sinks) if (!sink.destroyed && !sink.write(all)) wait(sink);
    }
  };
  const wait = (sink: Writable) => {
    waiting += 1;
    const goOn = () => {
      sink.off('drain', goOn).off('close', goOn);
      waiting -= 1;
      move();
    };
    sink.on('drain', goOn).on('close', goOn);
  };
  if (into.writableNeedDrain) wait(into);
  source.on('readable', move);
}
