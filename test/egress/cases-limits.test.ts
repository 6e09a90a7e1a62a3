// More than a guest may have at once: flows, opens, bytes that nobody reads, heads that never end, questions to a
// person (NE 35, 41).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ClientHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import type { AskView } from '../../src/protocol/policy.ts';
import { Questions } from '../../src/sandbox/network/questions.ts';
import { type DoorOptions, openDoor, rawOrigin, readAll, say, type TestDoor, until } from './fake-guest.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});
async function door(options: DoorOptions = {}): Promise<TestDoor> {
  const opened = await openDoor(options);
  closing.push(() => opened.close());
  return opened;
}
const TCP = { host: 'db.example', ports: [5432], protocol: 'tcp' };
const MIB = 1024 ** 2;

/** The status of an open, and the code when it is refused. */
async function tryOpen(
  opened: TestDoor,
  authority: string,
): Promise<[number, string | null, ClientHttp2Stream]> {
  const stream = opened.session.request({ ':method': 'CONNECT', ':authority': authority });
  stream.on('error', () => {});
  const [headers] = await once(stream, 'response');
  const status = Number(headers[':status']);
  return [status, status === 200 ? null : JSON.parse(await readAll(stream)).code, stream];
}

describe('flows', () => {
  it('are 512 at once; the next is told so, and has a place when one has gone (NE 41)', async () => {
    const opened = await door({ limits: { deniedSilenceMs: 3_600_000, opensBurst: 2_000 } });
    const held: ClientHttp2Stream[] = [];
    for (let nr = 0; nr < 512; nr++) held.push((await tryOpen(opened, 'db.example:5432'))[2]);
    assert.equal(opened.door.flows, 512);
    assert.deepEqual((await tryOpen(opened, 'db.example:5432')).slice(0, 2), [503, 'egress.too-many']);
    held[0]!.close(8);
    await until(() => opened.door.flows === 511);
    assert.equal((await tryOpen(opened, 'db.example:5432'))[0], 200);
  });

  it('are opened 100 a second after a burst of 512; what is faster is told so, and costs nothing (NE 41)', async () => {
    const opened = await door({ limits: { deniedSilenceMs: 3_600_000 } });
    const statuses = new Map<number, number>();
    const beganMs = performance.now();
    for (let nr = 0; nr < 2_000; nr += 50) {
      // Closed at once: the rate alone is tried.
      const batch = await Promise.all(Array.from({ length: 50 }, () => tryOpen(opened, 'db.example:5432')));
      for (const [status, code, stream] of batch) {
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (status === 429) assert.equal(code, 'egress.too-fast');
        stream.close(8);
      }
      await until(() => opened.door.flows < 400);
    }
    const earned = ((performance.now() - beganMs) / 1000) * 100;
    assert.ok(statuses.get(200)! >= 512);
    assert.ok(statuses.get(200)! <= 512 + earned + 1, `${statuses.get(200)} in the time of ${earned}`);
    assert.equal(statuses.get(200)! + statuses.get(429)!, 2_000);
  });
});

describe('a head', () => {
  for (const [what, name, bytes] of [
    ['a request’s', 'api.example', 'GET / HTTP/1.1\r\nHost: api.exa'],
    ['a TLS hello', 'api.example', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ] as const)
    it(`of ${what} that comes byte by byte and never ends is given up (NE 41, slowloris)`, async () => {
      const opened = await door({ allow: [{ host: name, http: true }], limits: { handshakeMs: 200 } });
      const port = what === 'a TLS hello' ? 443 : 80;
      const flow = await opened.openName(name, port);
      const gone = once(flow, 'close').catch(() => {});
      flow.resume();
      let at = 0;
      const drip = setInterval(() => {
        if (!flow.destroyed) flow.write(Buffer.from([bytes.charCodeAt(at) || 0x61]));
        at += 1;
      }, 20);
      await gone;
      clearInterval(drip);
      await until(() => opened.door.flows === 0);
      assert.deepEqual(opened.dialed, []);
    });
});

describe('what nobody reads', () => {
  const BIG = 1024 * MIB;
  /** Kernel buffers of two loopback connections, and what the door and its HTTP/2 hold. */
  const MOST = 32 * MIB;

  it('of a download of 1 GiB waits at the origin (NE 41)', async () => {
    let sent = 0;
    const origin = await rawOrigin((socket) => pour(socket, BIG, (bytes) => (sent += bytes)));
    closing.push(origin.close);
    const opened = await door({ allow: [TCP], origins: { 5432: origin.port } });
    const flow = await opened.openName('db.example', 5432);
    flow.pause();
    await settled(() => sent);
    assert.ok(sent > 0 && sent < MOST, `${sent / MIB} MiB were taken from the origin`);
    // Another flow goes on meanwhile.
    const other = await opened.openName('denied.example', 80);
    assert.match(
      await say(other, 'GET / HTTP/1.1\r\nHost: denied.example\r\nConnection: close\r\n\r\n'),
      / 403 /,
    );
  });

  it('of an upload of 1 GiB waits in the guest (NE 41)', async () => {
    let taken = 0;
    const origin = await rawOrigin((socket) => socket.pause());
    closing.push(origin.close);
    const opened = await door({ allow: [TCP], origins: { 5432: origin.port } });
    const flow = await opened.openName('db.example', 5432);
    pour(flow, BIG, (bytes) => (taken += bytes));
    await settled(() => taken);
    assert.ok(taken > 0 && taken < MOST, `${taken / MIB} MiB were taken from the guest`);
    flow.close(8);
  });

  it('of 200 uploads holds up no other upload and no question (NE 41)', async () => {
    let taken = 0;
    const deaf = await rawOrigin((socket) => socket.pause());
    const echo = await rawOrigin((socket) => socket.pipe(socket));
    closing.push(deaf.close, echo.close);
    const opened = await door({
      allow: [TCP, { ...TCP, ports: [7] }],
      origins: { 5432: deaf.port, 7: echo.port },
    });
    const flows: ClientHttp2Stream[] = [];
    for (let nr = 0; nr < 200; nr++) {
      const flow = await opened.openName('db.example', 5432);
      pour(flow, BIG, (bytes) => (taken += bytes));
      flows.push(flow);
    }
    await settled(() => taken);
    const text = 'x'.repeat(4 * MIB);
    const other = await opened.openName('db.example', 7);
    other.end(text);
    assert.equal((await readAll(other)).length, text.length);
    const question = opened.session.request({ ':method': 'POST', ':path': '/dns' });
    question.end(JSON.stringify({ name: 'db.example', type: 'A' }));
    assert.match(await readAll(question), /NOERROR/);
    for (const flow of flows) flow.close(8);
  });
});

describe('questions to a person', () => {
  it('are few, though a guest asks for 1,000 hosts in 10 s; the rest is denied (NE 35)', async () => {
    let nowMs = 0;
    const questions = new Questions(() => nowMs);
    let shown = 0;
    let most = 0;
    let before: AskView[] = [];
    const stop = questions.watch((pending) => {
      shown += pending.filter(({ id }) => !before.some((each) => each.id === id)).length;
      most = Math.max(most, pending.length);
      before = pending;
    });
    const opened = await door({
      asks: true,
      limits: { opensBurst: 2_000, flows: 1_100, requests: 1_100 },
      ask: ({ target, protocol, reason }) =>
        new Promise((resolve) =>
          questions.ask(
            {
              id: 0,
              host: target.host.kind === 'name' ? target.host.name : '',
              port: target.port,
              protocol,
              reason,
            },
            resolve,
          ),
        ),
    });
    const answers: Promise<string>[] = [];
    for (let nr = 0; nr < 1_000; nr++) {
      nowMs = nr * 10;
      const host = `h${nr}.example`;
      const flow = await opened.open(`${host}:80`);
      answers.push(say(flow, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`));
    }
    stop();
    for (const answer of await Promise.all(answers)) assert.match(answer, /^HTTP\/1\.1 403 /);
    assert.ok(shown > 0 && shown <= 10, `${shown} were shown`);
    assert.ok(most <= 3, `${most} at once`);
    assert.deepEqual([opened.dialed, opened.lookups], [[], []]);
    assert.equal(opened.ended('request').filter(({ decision }) => decision === 'deny').length, 1_000);
  });
});

/** Writes until `bytes` are taken, waiting whenever the other side does. */
function pour(stream: Socket | ClientHttp2Stream, bytes: number, took: (bytes: number) => void): void {
  const chunk = Buffer.alloc(256 * 1024);
  let left = bytes;
  stream.on('error', () => {});
  const more = () => {
    if (left <= 0 || stream.destroyed) return;
    left -= chunk.length;
    (stream as Socket).write(chunk, (error) => {
      if (error) return;
      took(chunk.length);
      more();
    });
  };
  more();
}

/** Nothing has moved for a while: whatever waits is full. */
async function settled(measure: () => number): Promise<void> {
  let last = -1;
  while (measure() !== last || last === 0) {
    last = measure();
    await new Promise((resolve) => setTimeout(resolve, 400));
  }
}
