// Synthetic names: what questions are answered with (DN 43, 44, 46), and what survives a restart of the door.

import assert from 'node:assert/strict';
import dns from 'node:dns';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { isSynthetic, SyntheticNames, type SyntheticOptions } from '../../src/egress/names/synthetic.ts';

const folder = mkdtempSync(join(tmpdir(), 'warren-names-'));
after(() => rmSync(folder, { recursive: true }));
let files = 0;
const newPath = (): string => join(folder, `names-${files++}`);
const make = (options: Partial<SyntheticOptions> = {}): SyntheticNames =>
  new SyntheticNames({ path: null, isDenied: () => false, ...options });
const a = (names: SyntheticNames, name: string): string => {
  const { rcode, answers } = names.answer({ name, type: 'A' });
  assert.equal(rcode, 'NOERROR', name);
  return answers[0]!.data;
};

describe('questions', () => {
  it('are answered with an address that leads back to the name', () => {
    const names = make();
    const { answers } = names.answer({ name: 'Example.COM.', type: 'A' });
    assert.equal(answers.length, 1);
    assert.equal(answers[0]!.ttl, 30);
    const address = answers[0]!.data;
    assert.ok(isSynthetic(address));
    assert.equal(names.nameOf(address), 'example.com');
    assert.equal(a(names, 'example.com'), address);
    assert.notEqual(a(names, 'www.example.com'), address);
    const reverse = `${address.split('.').reverse().join('.')}.in-addr.arpa`;
    assert.deepEqual(names.answer({ name: reverse, type: 'PTR' }).answers, [
      { type: 'PTR', ttl: 30, data: 'example.com' },
    ]);
    assert.deepEqual(names.answer({ name: reverse, type: 'A' }), { rcode: 'NOERROR', answers: [] });
  });

  it('never reach a resolver of the host', (context) => {
    const asked: string[] = [];
    const spy = (...args: unknown[]) => {
      asked.push(String(args[0]));
    };
    context.mock.method(dns, 'lookup', spy as never);
    context.mock.method(dns, 'resolve', spy as never);
    context.mock.method(dns.promises, 'lookup', spy as never);
    context.mock.method(dns.promises, 'resolve', spy as never);
    const names = make();
    for (const type of ['A', 'AAAA', 'TXT', 'HTTPS', 'ANY'])
      names.answer({ name: 'c2VjcmV0.attacker.example', type });
    assert.deepEqual(asked, []);
  });

  for (const type of ['AAAA', 'HTTPS', 'SVCB', 'TXT', 'MX', 'SRV', 'ANY', 'NULL', 'AXFR', 'CNAME', 'TYPE65'])
    it(`of type ${type} get no data and make no name`, () => {
      const names = make();
      assert.deepEqual(names.answer({ name: 'example.com', type }), { rcode: 'NOERROR', answers: [] });
      assert.equal(names.size, 0);
    });

  for (const name of [
    '',
    '.',
    'a..b',
    '1.2.3.4',
    '127.1',
    '_dmarc.example.com',
    'a b',
    'a\0b',
    'bücher.example',
    `${'a'.repeat(64)}.example`,
    'localhost',
    'x.localhost',
    '8.8.8.8.in-addr.arpa',
    '1.0.18.198.in-addr.arpa',
    '1.0.18.198.in-addr.arpa.in-addr.arpa',
    'x.ip6.arpa',
    'denied.example',
  ])
    it(`about ${JSON.stringify(name.slice(0, 40))} get NXDOMAIN`, () => {
      const names = make({ isDenied: (asked) => asked === 'denied.example' });
      for (const type of ['A', 'AAAA', 'PTR']) assert.equal(names.answer({ name, type }).rcode, 'NXDOMAIN');
      assert.equal(names.size, 0);
    });

  it('of a shape that is none get FORMERR', () => {
    for (const question of [
      {},
      { name: 'a', type: 1 },
      { name: ['a'], type: 'A' },
      { name: 'a', type: 'a b' },
    ])
      assert.equal(make().answer(question as never).rcode, 'FORMERR');
  });

  it('over 200 a second are refused', () => {
    let nowMs = 5;
    const names = make({ nowMs: () => nowMs });
    const ask = (): string => names.answer({ name: 'example.com', type: 'A' }).rcode;
    for (let n = 0; n < 200; n++) assert.equal(ask(), 'NOERROR');
    assert.equal(ask(), 'REFUSED');
    nowMs += 10;
    assert.deepEqual([ask(), ask(), ask()], ['NOERROR', 'NOERROR', 'REFUSED']);
    nowMs += 3_600_000;
    let taken = 0;
    while (ask() === 'NOERROR') taken++;
    assert.equal(taken, 200);
  });
});

describe('addresses', () => {
  it('mean nothing where they were not given out', () => {
    const [one, two] = [make(), make()];
    const address = a(one, 'example.com');
    for (const foreign of ['198.18.0.0', '198.19.255.255', '192.0.2.1', '198.18.1', '198.18.0.263', '', 'x'])
      assert.equal(two.nameOf(foreign), null);
    assert.equal(two.nameOf(address), null);
  });

  it('are each one name’s, however many are asked for; the one used longest ago goes', () => {
    const names = make({ maxNames: 50 });
    const first = names.addressOf('first.example')!;
    const kept = names.addressOf('kept.example')!;
    const seen = new Set([first, kept]);
    for (let n = 0; n < 2000; n++) {
      const address = names.addressOf(`n${n}.example`)!;
      assert.ok(!seen.has(address), 'an address came back early');
      seen.add(address);
      assert.equal(names.nameOf(kept), 'kept.example');
      assert.ok(names.size <= 50);
    }
    assert.equal(names.nameOf(first), null);
  });

  it('come round after all others, past those in use', () => {
    const names = make({ maxNames: 3 });
    const kept = names.addressOf('kept.example')!;
    const seen = new Set<string>();
    for (let n = 0; n < 131_070 + 10; n++) {
      seen.add(names.addressOf(`n${n}`)!);
      if (n % 2 === 0) assert.equal(names.nameOf(kept), 'kept.example');
    }
    assert.equal(seen.size, 131_069);
    assert.ok(!seen.has(kept) && !seen.has('198.18.0.0') && !seen.has('198.19.255.255'));
  });
});

describe('the file', () => {
  it('lets a door that starts anew know the addresses that programs hold', () => {
    const path = newPath();
    const before = make({ path });
    const held = ['a.example', 'b.example', 'c.example'].map((name) => [name, a(before, name)] as const);
    // Not closed: the process was killed.
    const later = make({ path });
    for (const [name, address] of held) {
      assert.equal(later.nameOf(address), name);
      assert.equal(a(later, name), address);
    }
    assert.ok(!held.some(([, address]) => address === a(later, 'd.example')));
    assert.equal(statSync(path).mode & 0o777, 0o600);
    before.close();
    later.close();
  });

  it('may end in half a line and hold foreign ones', () => {
    const path = newPath();
    writeFileSync(
      path,
      '7 a.example\n0 zero.example\n131071 last.example\n8 EVIL.example\n9 b..example\nx\n\n10 127.1\n11 b.example\n12 torn.exam',
    );
    const names = make({ path });
    assert.equal(names.size, 2);
    assert.equal(names.nameOf('198.18.0.7'), 'a.example');
    assert.equal(names.nameOf('198.18.0.11'), 'b.example');
    assert.equal(readFileSync(path, 'latin1'), '7 a.example\n11 b.example\n');
    assert.equal(a(names, 'c.example'), '198.18.0.12');
    names.close();
    assert.equal(make({ path }).size, 3);
  });

  it('says with its later line whose an address is', () => {
    const path = newPath();
    writeFileSync(path, '7 a.example\n7 b.example\n9 b.example\n');
    const names = make({ path });
    assert.equal(names.nameOf('198.18.0.7'), null);
    assert.equal(names.nameOf('198.18.0.9'), 'b.example');
    assert.equal(names.size, 1);
    names.close();
  });

  it('stays small while it is open', () => {
    const path = newPath();
    const names = make({ path, maxNames: 10 });
    for (let n = 0; n < 1000; n++) names.addressOf(`n${n}.example`);
    assert.ok(readFileSync(path, 'latin1').split('\n').length <= 42);
    const last = names.addressOf('n999.example')!;
    names.close();
    assert.equal(make({ path, maxNames: 10 }).nameOf(last), 'n999.example');
  });

  it('that cannot be written stops the answers, not the door', () => {
    const path = newPath();
    const names = make({ path });
    const address = a(names, 'a.example');
    names.close();
    assert.deepEqual(names.answer({ name: 'b.example', type: 'A' }), { rcode: 'REFUSED', answers: [] });
    assert.equal(names.size, 1);
    assert.equal(names.nameOf(address), 'a.example');
    assert.throws(() => make({ path: join(folder, 'none', 'names') }));
  });
});
