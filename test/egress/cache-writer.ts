// A process that keeps downloads: for the tests of what several do at once, or one that dies. Arguments: folder, bytes
// of the body, how many of them come (then nothing more), how many addresses. Says `kept` when it is done.

import { once } from 'node:events';
import { Readable } from 'node:stream';
import { openCache } from '../../src/egress/cache/cache.ts';
import { bodyOf, considered } from './cache-request.ts';

const [folder, length, come, addresses] = process.argv.slice(2);
const cache = await openCache({ folder: folder! });
for (let nr = 0; nr < Number(addresses); nr++) {
  const body = bodyOf(nr, Number(length));
  const stream = new Readable({ read() {} });
  const download = cache.consider(considered(nr))!;
  const copy = download.watch({
    kind: 'response',
    head: { status: 200, message: 'OK', headers: [['content-length', String(body.length)]], bodiless: false },
    body: stream,
    trailers: () => [],
  });
  if (copy) stream.pipe(copy);
  let passed = 0;
  stream.on('data', (chunk: Buffer) => {
    passed += chunk.length;
  });
  stream.push(body.subarray(0, Number(come)));
  if (Number(come) < body.length) await new Promise((resolve) => setTimeout(resolve, 60_000));
  stream.push(null);
  await once(stream, 'end');
  await cache.settled();
  if (passed !== body.length) throw new Error('it did not pass whole');
  const found = await download.find();
  console.log(found ? 'kept' : 'not kept');
  found?.body.destroy();
}
