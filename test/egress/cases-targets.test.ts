// Where a guest may not go, however it spells it, through a whole door: nothing is resolved or dialed, and there is a
// record (NE 1, 6, 7, 10, 11, 12, 30; DN 43, 46).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, describe, it } from 'node:test';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import { type DoorOptions, openDoor, readAll, say, type TestDoor, until } from './fake-guest.ts';
import { connectFrame, openRaw } from './raw-guest.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});
async function door(options: DoorOptions = {}): Promise<TestDoor> {
  const opened = await openDoor(options);
  closing.push(() => opened.close());
  return opened;
}
const GET = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
const denials = ({ events }: TestDoor) => events.filter(({ decision }) => decision === 'deny');

describe('a policy that says nothing (NE 1)', () => {
  for (const keys of [
    {},
    { egress: null },
    { egress: {} },
    { egress: { allow: null } },
    { egress: { allow: [] } },
  ])
    it(`denies: ${JSON.stringify(keys)}`, async () => {
      const policy = createPolicy([parsePolicy(keys, { source: 'project', file: 'warren.json' })]);
      const opened = await door({ policy: () => policy });
      assert.match(await say(await opened.openName('a.example', 80), GET('a.example')), /^HTTP\/1\.1 403 /);
      assert.match(await say(await opened.tls('a.example'), GET('a.example')), /^HTTP\/1\.1 403 /);
      const raw = await opened.openName('a.example', 22);
      raw.write('SSH-2.0-x\r\n');
      assert.equal(await readAll(raw), '');
      assert.deepEqual([opened.dialed, opened.lookups], [[], []]);
      for (const [kind, count] of [
        ['request', 2],
        ['flow', 3],
      ] as const)
        await until(() => denials(opened).filter((event) => event.kind === kind).length === count);
    });
});

describe('an authority that two programs could read differently (NE 6, 7)', () => {
  const ALLOWED = 'allowed.example';
  for (const host of [
    `127.0.0.1\0.${ALLOWED}`,
    `evil.example\0.${ALLOWED}`,
    `evil.example%00.${ALLOWED}`,
    `evil.example\r\nHost: ${ALLOWED}`,
    `${ALLOWED}\t`,
    ` ${ALLOWED}`,
    `[fe80::1%25eth0]`,
    `fe80::1%eth0`,
    `${ALLOWED}@evil.example`,
    `evil.example#${ALLOWED}`,
    `evil.example\\@${ALLOWED}`,
    `evil.example/${ALLOWED}`,
    `${ALLOWED}:443:80`,
    `\xfc${ALLOWED}`,
  ])
    it(`is refused: ${JSON.stringify(host)}`, async () => {
      const opened = await door({ allow: [ALLOWED] });
      const guest = await openRaw(opened.parts);
      closing.push(() => guest.close());
      guest.socket.write(connectFrame(1, `${host}:443`));
      assert.notEqual(await guest.answer(1), 'open');
      assert.deepEqual([opened.dialed, opened.lookups], [[], []]);
      assert.equal(guest.door.flows, 0);
    });

  it('and the allowed one by itself is a flow', async () => {
    const opened = await door({ allow: [ALLOWED] });
    const guest = await openRaw(opened.parts);
    closing.push(() => guest.close());
    guest.socket.write(connectFrame(1, `${ALLOWED}:443`));
    assert.equal(await guest.answer(1), 'open');
  });

  it('is refused as a Host header too', async () => {
    for (const host of [
      `${ALLOWED}@evil.example`,
      `evil.example#${ALLOWED}`,
      `evil.example%00.${ALLOWED}`,
      `${ALLOWED} x`,
    ]) {
      const opened = await door({ allow: [{ host: ALLOWED, http: true }] });
      assert.match(await say(await opened.openName(ALLOWED, 80), GET(host)), /^HTTP\/1\.1 4(?:00|21) /, host);
      assert.deepEqual(opened.dialed, []);
      assert.ok(denials(opened).length > 0);
    }
  });
});

const LOOPBACK = [
  '127.1',
  '0x7f.1',
  '2130706433',
  '0177.0.0.1',
  '127.0.0.1.',
  '127.0.0.1',
  '[::1]',
  '[::ffff:7f00:1]',
  '[::127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '[2002:7f00:1::]',
  '0.0.0.0',
  '[::]',
];
const METADATA = ['169.254.169.254', '[fd00:ec2::254]', '168.63.129.16', '100.100.100.200'];
const OWN = ['93.184.215.99', '10.7.7.7', '2606:4700::99'];

/** Refused, or a flow in which every request is denied. */
async function goesNowhere(opened: TestDoor, host: string): Promise<void> {
  const flow = opened.session.request({ ':method': 'CONNECT', ':authority': `${host}:80` });
  flow.on('error', () => {});
  const [headers] = await once(flow, 'response');
  if (headers[':status'] === 200) assert.match(await say(flow, GET(host)), /^HTTP\/1\.1 (?:400|403) /, host);
  else assert.equal(headers[':status'], 400, host);
  assert.deepEqual([opened.dialed, opened.lookups], [[], []], host);
  assert.ok(denials(opened).length > 0, `a record of ${host}`);
}

for (const network of ['mediated', 'open'])
  describe(`with the network ${network}`, () => {
    for (const host of [...LOOPBACK, ...METADATA])
      it(`${host} is not reached as an address (NE 10, 11)`, async () =>
        goesNowhere(await door({ network }), host));

    for (const host of OWN)
      it(`${host} is not reached when it is this computer’s (NE 12)`, async () =>
        goesNowhere(
          await door({
            network,
            ownAddresses: () => OWN,
            allow: network === 'open' ? [] : [{ cidr: '93.184.215.0/24', protocol: 'http' }],
          }),
          host.includes(':') ? `[${host}]` : host,
        ));

    for (const address of [
      ...METADATA.map((text) => text.replace(/[[\]]/g, '')),
      ...OWN,
      '127.0.0.1',
      '::ffff:127.0.0.1',
    ])
      it(`${address} is not reached by an allowed name (NE 11, 12)`, async () => {
        const opened = await door({
          network,
          allow: network === 'open' ? [] : [{ host: 'api.example', http: true }],
          ownAddresses: () => OWN,
          resolve: async () => [address],
        });
        const answer = await say(await opened.openName('api.example', 80), GET('api.example'));
        assert.match(answer, /^HTTP\/1\.1 403 [\s\S]*may not be dialed/);
        assert.deepEqual(opened.dialed, []);
        assert.ok(denials(opened).some(({ kind }) => kind === 'request'));
      });
  });

it('a name that leads to this computer tells what reaches a service here', async () => {
  const ask = async (over: Parameters<typeof door>[0]) => {
    const allow = [{ host: 'api.example', ports: [8080], protocol: 'http' }];
    const opened = await door({ allow, resolve: async () => ['127.0.0.1', '::1'], ...over });
    return await say(await opened.openName('api.example', 8080), GET('api.example:8080'));
  };
  const answer = await ask({});
  assert.match(answer, /reached as host\.warren\.internal:8080/);
  assert.match(answer, /to allow it: warren policy allow test --host-service 8080$/m);
  for (const over of [
    { closedHostPorts: [8080] },
    { resolve: async () => ['127.0.0.1', '10.1.2.3'] },
    { resolve: async () => ['169.254.169.254'] },
  ])
    assert.doesNotMatch(await ask(over), /host\.warren\.internal|host-service/);
});

describe('deny', () => {
  it('counts more than allow, also as a wildcard (NE 30)', async () => {
    const opened = await door({
      allow: [
        { host: 'x.a.example', http: true },
        { host: 'b.example', http: true },
      ],
      deny: ['*.a.example', 'b.example'],
    });
    for (const host of ['x.a.example', 'b.example']) {
      const flow = await opened.open(`${host}:80`);
      assert.match(await say(flow, GET(host)), /^HTTP\/1\.1 403 [\s\S]*denied by rule project:deny/);
    }
    assert.deepEqual([opened.dialed, opened.lookups], [[], []]);
    assert.equal(denials(opened).filter(({ kind }) => kind === 'request').length, 2);
  });
});

describe('a DNS question', () => {
  it('is answered without anybody being asked, and written down (DN 43)', async () => {
    const opened = await door({ allow: ['*.attacker.example'] });
    for (const type of ['A', 'TXT', 'HTTPS']) {
      const stream = opened.session.request({ ':method': 'POST', ':path': '/dns' });
      stream.end(JSON.stringify({ name: `secret.attacker.example`, type }));
      const { rcode, answers } = JSON.parse(await readAll(stream)) as { rcode: string; answers: unknown[] };
      assert.deepEqual([rcode, answers.length], ['NOERROR', type === 'A' ? 1 : 0]);
    }
    assert.deepEqual([opened.lookups, opened.dialed], [[], []]);
    assert.deepEqual(
      opened.events.map((event) => event.kind === 'dns' && [event.host, event.type]),
      ['A', 'TXT', 'HTTPS'].map((type) => ['secret.attacker.example', type]),
    );
  });

  it('answered in one sandbox says nothing in another (DN 46)', async () => {
    const allow = [{ host: 'api.example', http: true }];
    const [one, two] = [await door({ allow }), await door({ allow })];
    const learned = one.names.addressOf('api.example')!;
    two.names.addressOf('other.example');
    const stream = two.session.request({ ':method': 'CONNECT', ':authority': `${learned}:80` });
    const [headers] = await once(stream, 'response');
    assert.equal(headers[':status'], 400);
    assert.match(await readAll(stream), /stands for no name/);
    assert.deepEqual([two.dialed, two.lookups], [[], []]);
    assert.equal(denials(two).length, 1);
  });
});
