// Flows through the door, from a fake guest: what is denied and how, what passes untouched, and where it is dialed
// (NE 4, 12, 14, 15, 16, DN 48).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { after, describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { DoorParts } from '../../src/egress/flow/parts.ts';
import { denialHint } from '../../src/egress/policy/hint.ts';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import { entryFrom } from '../../src/egress/policy/typed.ts';
import { listenOn, openDoor, PUBLIC, rawOrigin, readAll, say, type TestDoor, until } from './fake-guest.ts';

const doors: TestDoor[] = [];
const door = async (...args: Parameters<typeof openDoor>) => {
  const opened = await openDoor(...args);
  doors.push(opened);
  return opened;
};
const closing: (() => void)[] = [];
after(async () => {
  for (const each of doors) await each.close();
  for (const close of closing) close();
});
const gone = (stream: Duplex) =>
  stream.closed ? undefined : new Promise<void>((resolve) => stream.once('close', resolve));
const GET = (host: string) => `GET /a?b HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
const TCP = { host: 'db.example', ports: [5432], protocol: 'tcp' };

async function echo(): Promise<number> {
  const origin = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  closing.push(() => origin.close());
  return listenOn(origin);
}

describe('what no rule allows', () => {
  it('is over when its client goes away in a TLS handshake', async () => {
    const { openName, ended } = await door({ limits: { handshakeMs: 3_600_000 } });
    const flow = await openName('denied.example', 443);
    const [ours, theirs] = duplexPair();
    const client = connectTls({ socket: ours, servername: 'denied.example' });
    flow.write((await once(theirs, 'data'))[0]);
    await once(flow, 'data');
    flow.end();
    await until(() => ended('flow').length === 1);
    client.destroy();
  });

  it('is over when its client closes it without an error and reads nothing', async () => {
    const opened = await door();
    const socket = await opened.tls('denied.example');
    const answered = once(socket, 'data');
    socket.write('BREW / HTTP/1.1\r\n\r\n');
    await answered;
    socket.destroy();
    await until(() => opened.door.flows === 0);
  });

  it('is answered in plain HTTP with 403, the rule and the remedy, and nothing is dialed (NE 4)', async () => {
    const { openName, dialed, lookups, ended } = await door();
    const answer = await say(await openName('denied.example', 80), GET('denied.example'));
    assert.match(answer, /^HTTP\/1\.1 403 /);
    assert.match(answer, /warren-denied: none/i);
    assert.match(answer, /no rule allows it/);
    assert.match(answer, /warren policy allow test denied\.example:80/);
    assert.deepEqual([dialed, lookups], [[], []]);
    assert.deepEqual(
      ended('request').map((event) => event.kind === 'request' && [event.decision, event.path, event.status]),
      [['deny', '/a', 403]],
    );
  });

  it('is answered inside TLS with 403', async () => {
    const opened = await door();
    const answer = await say(await opened.tls('denied.example'), GET('denied.example'));
    assert.match(
      answer,
      /^HTTP\/1\.1 403 [\s\S]*no rule allows it[\s\S]*warren policy allow test denied\.example\n/,
    );
    assert.deepEqual(opened.dialed, []);
  });

  it('is answered with JSON when that is accepted', async () => {
    const { openName } = await door();
    const stream = await openName('denied.example', 80);
    const answer = await say(
      stream,
      'GET / HTTP/1.1\r\nHost: denied.example\r\nAccept: application/json\r\nConnection: close\r\n\r\n',
    );
    const body = JSON.parse(answer.split('\r\n\r\n')[1]!);
    assert.equal(body.code, 'egress.denied');
    assert.deepEqual(body.hints, ['warren policy allow test denied.example:80']);
  });

  it('is reset when it speaks neither, at once or after a silence', async () => {
    const { openName, dialed, ended } = await door({ limits: { silenceMs: 30, deniedSilenceMs: 60 } });
    const speaking = await openName('denied.example', 22);
    speaking.write('SSH-2.0-x\r\n');
    await gone(speaking);
    const silent = await openName('denied.example', 25);
    await gone(silent);
    const elsewhere = await openName('denied.example', 8443);
    await gone(elsewhere);
    assert.ok(speaking.rstCode && silent.rstCode && elsewhere.rstCode);
    assert.deepEqual(dialed, []);
    assert.deepEqual(
      ended('flow').map((event) => [event.decision, event.kind === 'flow' && event.protocol]),
      Array(3).fill(['deny', 'tcp']),
    );
  });

  it('is written down though its client left without a word', async () => {
    const { openName, dialed, ended } = await door({ allow: ['ok.example'] });
    await gone((await openName('denied.example', 22)).end());
    (await openName('denied.example', 80)).close(8);
    await gone((await openName('ok.example', 443)).end());
    await until(() => ended('flow').length === 3);
    assert.deepEqual(
      ended('flow').map(({ host, port, decision, reason }) => [host, port, decision, reason]),
      [
        ['denied.example', 22, 'deny', 'denied.example:22: no rule allows it'],
        ['denied.example', 80, 'deny', 'denied.example:80: no rule allows it'],
        ['ok.example', 443, 'allow', 'its client left without a word'],
      ],
    );
    assert.deepEqual(dialed, []);
  });

  it('is answered readably wherever its server would not have spoken first, though its client is slow', async () => {
    const { openName } = await door({ limits: { silenceMs: 1 } });
    const slow = await openName('denied.example', 8080);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.match(await say(slow, GET('denied.example:8080')), /^HTTP\/1\.1 403 /);
  });

  it('is answered readably at the ports of the web, however slow its client is', async () => {
    const { openName } = await door({ limits: { silenceMs: 1 } });
    const slow = await openName('denied.example', 80);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.match(await say(slow, GET('denied.example')), /^HTTP\/1\.1 403 /);
  });

  it('is denied by address although its name is allowed (NE 16)', async () => {
    const opened = await door({ allow: ['ok.example'] });
    const stream = await opened.open(`${PUBLIC}:443`);
    const { connect } = await import('node:tls');
    const socket = connect({ socket: stream, servername: 'ok.example', rejectUnauthorized: false });
    const [error] = await once(socket, 'error');
    assert.match(String(error), /unrecognized name/);
    assert.deepEqual(opened.dialed, []);
    assert.equal(opened.ended('flow')[0]?.decision, 'deny');
  });

  it('is refused before it is a flow when its target is none', async () => {
    const { session, dialed } = await door();
    for (const authority of ['evil%00.ok.example:443', 'ok.example', '0x7f.1:80', '198.18.0.9:443']) {
      const stream = session.request({ ':method': 'CONNECT', ':authority': authority });
      const [headers] = await once(stream, 'response');
      assert.equal(headers[':status'], 400, authority);
      const body = JSON.parse(await readAll(stream));
      assert.equal(body.code, 'egress.no-host');
    }
    const other = session.request({ ':method': 'GET', ':path': '/' });
    assert.equal((await once(other, 'response'))[0][':status'], 405);
    assert.deepEqual(dialed, []);
  });
});

describe('an opaque flow', () => {
  it('passes bytes both ways, keeps a half open, and is written down before and after', async () => {
    const opened = await door({ allow: [TCP], origins: { 5432: await echo() } });
    const stream = await opened.openName('db.example', 5432);
    assert.equal(await readAll(stream.end('hello')), 'hello');
    await until(() => opened.ended('flow').length > 0);
    const flows = opened.events.filter((event) => event.kind === 'flow');
    assert.deepEqual(
      flows.map((event) => ['begun' in event, event.decision, event.bytesUp, event.bytesDown]),
      [
        [true, 'allow', 0, 0],
        [false, 'allow', 5, 5],
      ],
    );
    assert.deepEqual(opened.dialed, [`${PUBLIC}:5432`]);
  });

  it('lets the server speak though the client has nothing to say', async () => {
    const origin = await rawOrigin((socket) => socket.end('the time'));
    closing.push(origin.close);
    const opened = await door({ allow: [TCP], origins: { 5432: origin.port } });
    assert.equal(await readAll((await opened.openName('db.example', 5432)).end()), 'the time');
    await until(() => opened.door.flows === 0);
  });

  it('passes the end on though it came before anybody knew what is spoken', async () => {
    const opened = await door({ allow: [TCP], origins: { 5432: await echo() } });
    assert.equal(await readAll((await opened.openName('db.example', 5432)).end('PING')), 'PING');
  });

  it('lets the server speak first', async () => {
    const origin = await rawOrigin((socket) => socket.write('220 ready\r\n'));
    closing.push(origin.close);
    const opened = await door({ allow: [TCP], origins: { 5432: origin.port }, limits: { silenceMs: 50 } });
    const stream = await opened.openName('db.example', 5432);
    assert.equal(String((await once(stream, 'data'))[0]), '220 ready\r\n');
    stream.close();
  });

  it('carries 6 MB each way byte for byte', async () => {
    const opened = await door({ allow: [TCP], origins: { 5432: await echo() } });
    const stream = await opened.openName('db.example', 5432);
    const sent = Buffer.alloc(6_000_000);
    for (let at = 0; at < sent.length; at += 4) sent.writeUInt32LE((at * 2654435761) >>> 0, at);
    const chunks: Buffer[] = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.end(sent);
    await once(stream, 'end');
    assert.ok(Buffer.concat(chunks).equals(sent));
  });

  it('is reset at the guest when the origin resets, and the other way round', async () => {
    const origin = await rawOrigin((socket) =>
      socket.once('data', (chunk) => {
        if (String(chunk) === 'reset me') socket.resetAndDestroy();
      }),
    );
    closing.push(origin.close);
    const opened = await door({ allow: [TCP], origins: { 5432: origin.port } });
    const first = await opened.openName('db.example', 5432);
    first.write('reset me');
    await gone(first);
    assert.ok(first.rstCode);
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const second = await rawOrigin((socket) => socket.once('error', resolve));
    closing.push(second.close);
    const again = await door({ allow: [TCP], origins: { 5432: second.port } });
    const stream = await again.openName('db.example', 5432);
    stream.write('x');
    await new Promise((wait) => setTimeout(wait, 50));
    stream.destroy(new Error('reset'));
    assert.equal(((await promise) as NodeJS.ErrnoException).code, 'ECONNRESET');
  });

  it('is not begun when it cannot be written down', async () => {
    const opened = await door({
      allow: [TCP],
      audit: { write: () => Promise.reject(new Error('the disk is full')) },
    });
    const stream = await opened.openName('db.example', 5432);
    stream.write('x');
    await gone(stream);
    assert.deepEqual([opened.dialed, opened.lookups], [[], []]);
  });
});

describe('a dial', () => {
  it('to a private address tells what would allow it, unless it is of this computer', async () => {
    const allow = [{ host: 'db.example', http: true, methods: ['GET'] }];
    const ask = async (address: string) => {
      const opened = await door({ allow, resolve: async () => [address] });
      return await say(await opened.openName('db.example', 80), GET('db.example'));
    };
    assert.match(
      await ask('10.0.0.1'),
      /allow it: warren policy allow test db\.example:80 --method GET --private\n/,
    );
    for (const address of ['127.0.0.1', '192.0.2.1', '169.254.169.254', '0.0.0.0'])
      assert.doesNotMatch(await ask(address), /allow it/);
  });

  it('to a private address goes there once what was told is pasted, behind the rule that was there', async () => {
    const origin = await rawOrigin((socket) =>
      socket.once('data', () =>
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'),
      ),
    );
    closing.push(origin.close);
    for (const plain of ['db.example:80', { host: 'db.example', http: true, paths: ['/a'] }]) {
      const ask = async (...pasted: unknown[]) => {
        const opened = await door({
          allow: [plain, ...pasted],
          resolve: async () => ['10.0.0.1'],
          origins: { 80: origin.port },
        });
        return await say(await opened.openName('db.example', 80), GET('db.example'));
      };
      const [, words = ''] = /policy allow test (.*)\n/.exec(await ask()) ?? [];
      assert.match(await ask(entryFrom(words)), /^HTTP\/1\.1 200 /, words);
    }
  });

  it('to the port of stable names goes nowhere, whatever a rule says: it leads to all sandboxes', async () => {
    const opened = await door({
      allow: [
        { hostService: 7070, protocol: 'http' },
        { host: 'lo.example', ports: [7070], protocol: 'http', allowPrivate: true },
      ],
      resolve: async () => ['127.0.0.1'],
      origins: { 7070: await echo() },
      closedHostPorts: [7070],
    });
    for (const host of ['host.warren.internal', 'lo.example'])
      assert.match(
        await say(await opened.openName(host, 7070), GET(`${host}:7070`)),
        / 403 [\s\S]*ports of all sandboxes/,
      );
    assert.deepEqual(opened.dialed, []);
  });

  it('looks a name up once and goes to the vetted address, whatever a second answer would be (NE 14)', async () => {
    const answers = [[PUBLIC], ['127.0.0.1'], ['10.0.0.1']];
    let lookups = 0;
    const opened = await door({
      allow: [TCP],
      origins: { 5432: await echo() },
      resolve: async () => answers[lookups++]!,
    });
    const stream = await opened.openName('db.example', 5432);
    assert.equal(await readAll(stream.end('x')), 'x');
    assert.equal(lookups, 1);
    assert.deepEqual(opened.dialed, [`${PUBLIC}:5432`]);
    const second = await opened.openName('db.example', 5432);
    second.write('x');
    await gone(second);
    assert.equal(lookups, 2);
    assert.equal(opened.dialed.length, 1);
  });

  const answers: [string, () => Promise<string[]>][] = [
    ['an address of this host (NE 12)', async () => ['192.0.2.1']],
    ['loopback (DN 48)', async () => ['127.0.0.1']],
    ['0.0.0.0 (DN 48)', async () => ['0.0.0.0']],
    ['a private address, by a v4-mapped one too (DN 48)', async () => ['10.0.0.1', '::ffff:10.0.0.1']],
    ['a metadata service', async () => ['169.254.169.254']],
    ['nothing (NE 15)', async () => []],
    ['an error (NE 15)', () => Promise.reject(new Error('SERVFAIL'))],
    ['no answer in time (NE 15)', () => new Promise(() => {})],
  ];
  for (const [what, resolve] of answers) {
    it(`goes nowhere when the name resolves to ${what}`, async () => {
      const opened = await door({
        allow: [TCP, { host: 'db.example', http: true }],
        resolve,
        limits: { resolveMs: 50 },
      });
      const stream = await opened.openName('db.example', 5432);
      stream.write('x');
      await gone(stream);
      const answer = await say(await opened.openName('db.example', 80), GET('db.example'));
      assert.match(answer, /^HTTP\/1\.1 (?:403|502) /);
      assert.deepEqual(opened.dialed, []);
    });
  }
});

describe('a question', () => {
  const asking = (answer: unknown, asked: number[] = []) =>
    door({
      asks: true,
      ask: (async ({ target }) => {
        asked.push(target.port);
        return answer;
      }) as DoorParts['ask'] & {},
      origins: { 80: closed },
    });
  const closed = 1;

  for (const answer of [1, 'yes', { allow: true }, undefined, false])
    it(`answered with ${JSON.stringify(answer)} is a no`, async () => {
      const opened = await asking(answer);
      const reply = await say(await opened.openName('new.example', 80), GET('new.example'));
      assert.match(reply, /^HTTP\/1\.1 403 /);
      assert.deepEqual(opened.dialed, []);
    });

  it('answered with true lets this flow through, and is asked once for all of its requests', async () => {
    const asked: number[] = [];
    const opened = await asking(true, asked);
    const stream = await opened.openName('new.example', 80);
    stream.write('GET /1 HTTP/1.1\r\nHost: new.example\r\n\r\n');
    const reply = await say(stream, GET('new.example'));
    assert.equal(reply.match(/^HTTP\/1\.1 502 /gm)?.length, 2);
    assert.deepEqual(opened.dialed, [`${PUBLIC}:80`, `${PUBLIC}:80`]);
    assert.deepEqual(asked, [80]);
  });

  it('that nobody answers is a no', async () => {
    const opened = await door({ asks: true, ask: () => new Promise(() => {}), limits: { askMs: 30 } });
    const late = await say(await opened.openName('new.example', 80), GET('new.example'));
    assert.match(late, / 403 [\s\S]*nobody answered in time/);
    const mute = await door({ asks: true });
    assert.match(await say(await mute.openName('new.example', 80), GET('new.example')), / 403 /);
  });

  it('that nobody said yes to is denied with why, and with what would allow it', async () => {
    for (const [said, why] of [
      ['no', /somebody said no/],
      ['nobody', /nobody is there to answer/],
      ['crowded', /too many questions/],
    ] as const) {
      const opened = await door({
        asks: true,
        ask: async () => said,
        denialHint: (verdict) => denialHint('demo', verdict),
      });
      const reply = await say(await opened.openName('new.example', 80), GET('new.example'));
      assert.match(reply, why);
      assert.match(reply, /to allow it: warren policy allow demo new\.example:80\n/);
    }
  });

  it('answered with never is denied by the rule that this has become', async () => {
    const rules = (deny: string[]) =>
      createPolicy([
        parsePolicy({ egress: { ask: true, deny } }, { source: 'sandbox', file: 'policy.json' }),
      ]);
    let now = rules([]);
    const opened = await door({
      policy: () => now,
      ask: async () => {
        now = rules(['new.example']);
        return 'no';
      },
    });
    const reply = await say(await opened.openName('new.example', 80), GET('new.example'));
    assert.match(reply, /denied by rule sandbox:deny\[0\]:new\.example/);
  });

  it('opens no private address', async () => {
    const opened = await door({ asks: true, ask: async () => true, resolve: async () => ['10.0.0.1'] });
    assert.match(await say(await opened.openName('new.example', 80), GET('new.example')), / 403 /);
    assert.deepEqual(opened.dialed, []);
  });
});
