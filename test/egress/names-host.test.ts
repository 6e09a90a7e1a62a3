// What is a host and what is refused: every trick by which two programs read one text as two hosts (NE 6, 7, 10).

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { contains, embeddedIpv4, parseCidr } from '../../src/egress/names/address.ts';
import { canonicalHost, hostText, parseAuthority } from '../../src/egress/names/canonical-host.ts';

const text = (input: string): string => {
  const host = canonicalHost(input);
  return 'refused' in host ? `refused: ${host.refused}` : hostText(host);
};

describe('canonicalHost', () => {
  for (const [input, expected] of [
    ['Example.COM', 'example.com'],
    ['example.com.', 'example.com'],
    ['localhost', 'localhost'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['r3---sn-4g5e.example', 'r3---sn-4g5e.example'],
    ['1.example', '1.example'],
    ['Build_Server.corp.example', 'build_server.corp.example'],
    ['1_2', '1_2'],
    ['0x7f.example', '0x7f.example'],
    ['192.0.2.7', '192.0.2.7'],
    ['127.0.0.1.', '127.0.0.1'],
    ['[2001:DB8:0:0:1:0:0:1]', '[2001:db8::1:0:0:1]'],
    ['[::FFFF:7F00:1]', '127.0.0.1'],
    ['[::ffff:127.0.0.1]', '127.0.0.1'],
    ['[::]', '[::]'],
    [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
  ] as const)
    it(`${input} is ${expected}`, () => assert.equal(text(input), expected));

  for (const input of [
    '',
    '.',
    '..',
    '.example.com',
    'a..example',
    'example.com..',
    'evil.example\0.allowed.example',
    '127.0.0.1\0.allowed.example',
    'evil.example%00.allowed.example',
    'evil.example\r\nHost: allowed.example',
    'evil.example\n',
    'exa mple.com',
    'example.com\t',
    ' example.com',
    'allowed.example@evil.example',
    'evil.example#allowed.example',
    'evil.example\\@allowed.example',
    'evil.example/allowed.example',
    'evil.example?x',
    'https://example.com',
    'example.com:443',
    '*.example.com',
    '_dmarc.example.com',
    'a_.example',
    '_',
    '-a.example',
    'a-.example',
    'bücher.example',
    'exаmple.com',
    'example。com',
    'example.com\u200b',
    '127.1',
    '0x7f.1',
    '0x7f000001',
    '0x',
    'a.0x',
    '2130706433',
    '0177.0.0.1',
    '127.0.0.01',
    '127.0.0.1.1',
    '256.0.0.1',
    '1.2.3.4.5',
    'example.1',
    '::1',
    '[::1',
    '::1]',
    '[]',
    '[127.0.0.1]',
    '[fe80::1%eth0]',
    '[fe80::1%25eth0]',
    '[::1].',
    '[::1]x',
    '[::ffff:0177.0.0.1]',
    '[1:2:3:4:5:6:7:8:9]',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(126)}ab`,
    'a'.repeat(100_000),
  ])
    it(`refuses ${JSON.stringify(input.slice(0, 50))}`, () => {
      const said = text(input);
      assert.match(said, /^refused: /);
      assert.match(said, /^[\x20-\x7e…]*$/);
    });

  it('takes what it gave, unchanged', () => {
    for (const input of ['Example.com.', '[2001:DB8::1]', '[::ffff:10.0.0.1]', '9.9.9.9'])
      assert.equal(text(text(input)), text(input));
  });
});

describe('parseAuthority', () => {
  it('reads a host and a port', () => {
    assert.deepEqual(parseAuthority('Example.com.:443'), {
      host: { kind: 'name', name: 'example.com' },
      port: 443,
    });
    assert.deepEqual(parseAuthority('[::1]:65535'), {
      host: { kind: 'address', family: 6, address: '::1' },
      port: 65535,
    });
  });
  for (const input of [
    '',
    ':443',
    'example.com',
    'example.com:',
    'example.com:0',
    'example.com:0443',
    'example.com:65536',
    'example.com:+80',
    'example.com:80 ',
    'example.com:８０',
    'example.com:1e3',
    'example.com:443:443',
    '::1:443',
    '[::1]',
    'user@example.com:443',
  ])
    it(`refuses ${JSON.stringify(input)}`, () => assert.ok('refused' in parseAuthority(input)));
});

describe('ranges', () => {
  const cidr = (input: string) => {
    const parsed = parseCidr(input);
    assert.ok(!('refused' in parsed), input);
    return parsed;
  };
  it('contain their addresses and no others', () => {
    assert.equal(contains(cidr('10.1.2.0/23'), '10.1.3.255'), true);
    assert.equal(contains(cidr('10.1.2.0/23'), '10.1.4.0'), false);
    assert.equal(contains(cidr('0.0.0.0/0'), '203.0.113.1'), true);
    assert.equal(contains(cidr('0.0.0.0/0'), '2001:db8::1'), false);
    assert.equal(contains(cidr('2001:db8::/33'), '2001:db8:7fff::1'), true);
    assert.equal(contains(cidr('2001:db8::/33'), '2001:db8:8000::1'), false);
    assert.equal(contains(cidr('192.0.2.1'), '192.0.2.1'), true);
    assert.equal(contains(cidr('192.0.2.1'), '192.0.2.2'), false);
  });
  it('refuses odd ones', () => {
    for (const input of [
      '10.0.0.0/33',
      '10.0.0.0/',
      '10.0.0.0/08',
      '10/8',
      '10.0.0.1/8',
      '::ffff:10.0.0.0/104',
      'a',
      '',
    ])
      assert.ok('refused' in parseCidr(input), input);
    assert.deepEqual(parseCidr('10.9.0.0/8'), {
      refused: 'its address has bits beyond the prefix: write 10.0.0.0/8',
    });
  });
  it('finds IPv4 inside IPv6', () => {
    assert.deepEqual(embeddedIpv4('64:ff9b::7f00:1'), ['127.0.0.1']);
    assert.deepEqual(embeddedIpv4('::7f00:1'), ['127.0.0.1']);
    assert.deepEqual(embeddedIpv4('::ffff:0:7f00:1'), ['127.0.0.1']);
    assert.deepEqual(embeddedIpv4('2002:7f00:1::'), ['127.0.0.1']);
    assert.deepEqual(embeddedIpv4('2001:0:7f00:1::80ff:fffe'), ['127.0.0.1', '127.0.0.1']);
    assert.deepEqual(embeddedIpv4('2606:4700::1'), []);
  });
});
