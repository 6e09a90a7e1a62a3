// Where the door dials: a name is looked up once and its addresses are vetted (NE 12, 14, 15, DN 48).

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PUBLIC, rawOrigin, readAll, say } from './fake-guest.ts';
import { closing, door, echo, GET, gone, TCP } from './flow-door.ts';
import { entryFrom } from './typed-words.ts';

describe('a dial', () => {
  it('to a private address tells what would allow it; to this computer, under the name for that', async () => {
    const allow = [{ host: 'db.example', http: true, methods: ['GET'] }];
    const ask = async (address: string) => {
      const opened = await door({ allow, resolve: async () => [address] });
      return await say(await opened.openName('db.example', 80), GET('db.example'));
    };
    assert.match(
      await ask('10.0.0.1'),
      /allow it: warren policy allow test db\.example:80 --method GET --private\n/,
    );
    assert.match(await ask('127.0.0.1'), /allow it: warren policy allow test --host-service 80\n/);
    for (const address of ['192.0.2.1', '169.254.169.254', '0.0.0.0'])
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
