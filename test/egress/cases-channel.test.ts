// A guest's agent that was replaced: bytes that are no HTTP/2, frames out of place, JSON that is none or too much. The
// door's end of the stream is closed or says no; nothing else notices (AP 61, 62, 63; DN 44).

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { mutate, randomFrom } from '../fuzz/mutate.ts';
import { type DoorOptions, openDoor, readAll, say, type TestDoor, until } from './fake-guest.ts';
import { connectFrame, FRAME, frame, openRaw, PREFACE, type RawGuest } from './raw-guest.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});
async function door(options: DoorOptions = {}): Promise<TestDoor> {
  const opened = await openDoor(options);
  closing.push(() => opened.close());
  return opened;
}
async function raw(options: DoorOptions = {}): Promise<RawGuest> {
  const guest = await openRaw((await door(options)).parts);
  closing.push(() => guest.close());
  return guest;
}
const OPEN = '93.184.216.34:443';
const uint = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};
const MIB = 1024 ** 2;

describe('frames out of place (AP 61)', () => {
  const cases: [what: string, frames: Buffer[]][] = [
    ['garbage', [Buffer.alloc(100_000, 'WRN')]],
    ['a header that is cut by another', [connectFrame(1, OPEN).subarray(0, 5)]],
    ['a length of 16 MiB', [Buffer.concat([Buffer.from([0xff, 0xff, 0xff]), Buffer.alloc(100_000)])]],
    ['data before a stream is open', [frame(FRAME.data, 0, 7, Buffer.from('x'))]],
    ['a stream of an even number', [connectFrame(2, OPEN)]],
    ['a stream that goes back', [connectFrame(9, OPEN), connectFrame(3, OPEN)]],
    [
      'credit beyond 2^31',
      [frame(FRAME.windowUpdate, 0, 0, uint(0x7fffffff)), frame(FRAME.windowUpdate, 0, 0, uint(0x7fffffff))],
    ],
    ['no credit', [frame(FRAME.windowUpdate, 0, 0, uint(0))]],
    [
      'more data than there is credit for',
      [connectFrame(1, OPEN), ...Array<Buffer>(2_000).fill(frame(FRAME.data, 0, 1, Buffer.alloc(16_000)))],
    ],
    ['a reset of a stream that never was', [frame(FRAME.reset, 0, 5, uint(8))]],
    [
      'headers that no decoder knows',
      [frame(FRAME.headers, 4, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))],
    ],
    ['headers that never end', Array<Buffer>(200).fill(frame(FRAME.headers, 0, 1, Buffer.alloc(16_000)))],
  ];
  const ignored = ['a stream that goes back'];
  for (const [what, frames] of cases)
    it(`${what} ends this stream, and no other`, async () => {
      const other = await door();
      const guest = await raw();
      for (const bytes of frames) guest.socket.write(bytes);
      // Some are only ignored: then the next stream is served as ever, and the guest's own end is the end.
      const next = 0x7001;
      guest.socket.write(connectFrame(next, OPEN));
      const answer = await guest.answer(next);
      assert.equal(answer, ignored.includes(what) ? 'open' : 'over');
      if (answer === 'open') guest.socket.end();
      await guest.door.closed;
      assert.equal(guest.door.flows, 0);
      assert.match(
        await say(
          await other.openName('a.example', 80),
          'GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n',
        ),
        / 403 /,
      );
    });

  it('a flood of opened and reset streams is ended by the door (rapid reset)', async () => {
    const guest = await raw();
    let nr = 1;
    const flood = () => {
      while (!guest.socket.destroyed && nr < 2_000_000) {
        const stream = nr;
        nr += 2;
        if (
          !guest.socket.write(
            Buffer.concat([connectFrame(stream, OPEN), frame(FRAME.reset, 0, stream, uint(8))]),
          )
        )
          return;
      }
    };
    guest.socket.on('drain', flood);
    flood();
    await guest.door.closed;
    assert.ok(nr < 200_000, `${nr / 2} streams`);
  });

  it('a stream that is closed twice, and data after its end, harm nobody', async () => {
    const guest = await raw();
    const END_STREAM = 1;
    guest.socket.write(
      Buffer.concat([
        connectFrame(1, OPEN),
        frame(FRAME.data, END_STREAM, 1),
        frame(FRAME.data, END_STREAM, 1),
      ]),
    );
    guest.socket.write(connectFrame(3, OPEN));
    // Either the connection is over, or the next stream is served as ever.
    assert.match(await guest.answer(3), /^(?:open|over)$/);
  });
});

describe('mutated frames, seed 61 (AP 61)', () => {
  it('are survived by a door 400 times, within bounds', async () => {
    const { parts } = await door();
    const random = randomFrom(61);
    const pool = [
      connectFrame(1, OPEN),
      connectFrame(3, 'a.example:80'),
      Buffer.concat([connectFrame(1, OPEN), frame(FRAME.data, 1, 1, Buffer.from('GET / HTTP/1.1\r\n\r\n'))]),
      Buffer.concat([frame(FRAME.windowUpdate, 0, 0, uint(9)), frame(FRAME.reset, 0, 1, uint(8))]),
      PREFACE,
    ];
    const before = process.memoryUsage().rss;
    const seen = { over: 0, lasting: 0 };
    for (let nr = 0; nr < 400; nr++) {
      const guest = await openRaw(parts);
      guest.socket.write(mutate(pool, random));
      guest.socket.write(connectFrame(0x7001, 'b.example:80'));
      guest.socket.end();
      const answer = await guest.answer(0x7001);
      seen[answer === 'over' ? 'over' : 'lasting'] += 1;
      await guest.close();
      assert.equal(guest.door.flows, 0, `run ${nr}`);
    }
    // Both kinds were met, so the mutations are neither all harmless nor all fatal.
    assert.ok(seen.over > 0 && seen.lasting > 0, JSON.stringify(seen));
    assert.ok((process.memoryUsage().rss - before) / MIB < 150);
  });
});

describe('a question in JSON (AP 62, DN 44)', () => {
  const ask = async (opened: TestDoor, body: string | Buffer) => {
    const stream = opened.session.request({ ':method': 'POST', ':path': '/dns' });
    stream.on('error', () => {});
    stream.end(body);
    const text = await readAll(stream);
    return text === '' ? null : (JSON.parse(text) as { rcode: string; answers: unknown[] });
  };
  const bad: [what: string, body: string | Buffer][] = [
    ['nested 10,000 deep', '['.repeat(10_000)],
    ['nested 1,000 deep and closed', `{"name":${'['.repeat(1_000)}${']'.repeat(1_000)},"type":"A"}`],
    ['of another shape', '{"name":{"toString":"x"},"type":["A"]}'],
    ['about __proto__', '{"__proto__":{"name":"a.example","type":"A"}}'],
    ['about constructor', '{"constructor":{"prototype":{"name":"a.example","type":"A"}}}'],
    ['of huge numbers', `{"name":${'9'.repeat(400)},"type":1e999}`],
    ['that is not UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
    ['that is null', 'null'],
    ['that is empty', ''],
    ['of 1 MB', `{"name":"${'a'.repeat(MIB)}","type":"A"}`],
  ];
  for (const [what, body] of bad)
    it(`${what} is no question`, async () => {
      const opened = await door();
      const answer = await ask(opened, body);
      assert.ok(
        answer === null || (answer.rcode === 'FORMERR' && answer.answers.length === 0),
        JSON.stringify(answer),
      );
      assert.equal(({} as Record<string, unknown>)['name'], undefined);
      assert.deepEqual(opened.lookups, []);
      assert.equal((await ask(opened, '{"name":"a.example","type":"A"}'))?.rcode, 'NOERROR');
    });

  it('with a key twice has one meaning for whoever is told of it', async () => {
    const opened = await door({ deny: ['denied.example'] });
    const answer = await ask(opened, '{"name":"a.example","name":"denied.example","type":"A"}');
    assert.equal(answer?.rcode, 'NXDOMAIN');
    assert.equal(opened.events[0]?.host, 'denied.example');
  });

  it('of 100 MB is cut off long before', async () => {
    const opened = await door();
    const stream = opened.session.request({ ':method': 'POST', ':path': '/dns' });
    stream.on('error', () => {});
    let taken = 0;
    const chunk = Buffer.alloc(64 * 1024, 'a');
    const more = () => {
      if (taken < 100 * MIB && !stream.destroyed)
        stream.write(chunk, (error) => {
          if (error) return;
          taken += chunk.length;
          more();
        });
    };
    more();
    stream.resume();
    await until(() => stream.closed);
    assert.ok(taken < 4 * MIB, `${taken / MIB} MiB`);
  });
});

describe('what an agent claims', () => {
  it('to be another sandbox, or allowed, is not listened to (AP 63)', async () => {
    const opened = await door();
    const guest = await openRaw(opened.parts);
    closing.push(() => guest.close());
    const claims: [string, string][] = [
      ['warren-sandbox', 'another'],
      ['warren-allow', 'true'],
      ['warren-rule', 'sandbox:allow[0]:a.example'],
      ['x-forwarded-for', '127.0.0.1'],
      [
        'warren-guest',
        Buffer.from(
          '{"pid":-1,"uid":1e99,"comm":"\\u001b[2J","sandbox":"another","__proto__":{"ok":1}}',
        ).toString('base64'),
      ],
    ];
    guest.socket.write(connectFrame(1, 'a.example:80', claims));
    assert.equal(await guest.answer(1), 'open');
    guest.socket.write(
      frame(FRAME.data, 1, 1, Buffer.from('GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n')),
    );
    await until(() => opened.ended('request').length === 1);
    const [event] = opened.ended('request');
    assert.equal(event?.decision, 'deny');
    assert.deepEqual(opened.dialed, []);
    await until(() => opened.ended('flow').length === 1);
    const text = JSON.stringify(opened.events);
    assert.doesNotMatch(text, /another/);
    // Printable, and only what may be claimed.
    assert.deepEqual((opened.ended('flow')[0] as { guest?: unknown }).guest, { comm: '\\x1b[2J' });
    assert.equal(({} as Record<string, unknown>)['ok'], undefined);
  });
});
