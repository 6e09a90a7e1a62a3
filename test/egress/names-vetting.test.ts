// Which addresses the door dials (NE 10, 11, 12; DN 48): everything that is not public stays closed until a rule says so.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { vetAddresses } from '../../src/egress/names/vetting.ts';

const OWN = ['127.0.0.1', '::1', '192.168.1.5', '203.0.114.9', '2a00:1450::9', 'fe80::1%eth0'];
const vet = (address: string, allowPrivate = false, exactAddress?: string) => {
  const { usable, refused } = vetAddresses([address], {
    allowPrivate,
    ownAddresses: OWN,
    ...(exactAddress !== undefined && { exactAddress }),
  });
  assert.equal(usable.length + refused.length, 1);
  return usable.length === 1 ? 'usable' : refused[0]!.why;
};

const METADATA = [
  '169.254.169.254',
  '169.254.170.2',
  '168.63.129.16',
  '100.100.100.200',
  '192.0.0.192',
  'fd00:ec2::254',
  'fd20:ce::254',
  'fd00:c1::a9fe:a9fe',
  'fd00:42::42',
  '::ffff:169.254.169.254',
  '64:ff9b::a9fe:a9fe',
  '2002:a9fe:a9fe::1',
];
const NEVER = [
  '0.0.0.0',
  '::',
  '0.1.2.3',
  '255.255.255.255',
  '224.0.0.1',
  'ff02::1',
  '::ffff:0.0.0.0',
  '64:ff9b::',
];
const PRIVATE = [
  '198.51.100.1',
  '192.0.2.1',
  '203.0.113.9',
  '10.1.2.3',
  '172.16.0.1',
  '192.168.1.6',
  '100.64.0.1',
  'fd12:3456::1',
  '127.0.0.1',
  '127.9.9.9',
  '::1',
];
const OTHERS = [
  '198.18.0.7',
  '240.0.0.1',
  'fec0::1',
  '2001:db8::1',
  '100::1',
  '5f00::1',
  '4000::1',
  '64:ff9b:1::7f00:1',
];
const DISGUISED = [
  '::ffff:7f00:1',
  '::127.0.0.1',
  '::ffff:0:127.0.0.1',
  '64:ff9b::7f00:1',
  '64:ff9b::10.0.0.1',
  '2002:7f00:1::',
  '2002:a00:1::1',
  '2001:0:0a00:0001::f7f7:f7f7',
  '2001:0:808:808::f5ff:fffe',
];

describe('addresses', () => {
  for (const address of [
    '93.184.215.14',
    '8.8.8.8',
    '2606:4700::1111',
    '::ffff:8.8.8.8',
    '64:ff9b::808:808',
    '2002:808:808::1',
  ])
    it(`lets public ${address} pass`, () => assert.equal(vet(address), 'usable'));

  for (const address of [
    ...METADATA,
    ...NEVER,
    ...PRIVATE,
    ...OTHERS,
    ...DISGUISED,
    'x',
    '',
    '127.1',
    '1.2.3.4%eth0',
  ])
    it(`refuses ${address}`, () => assert.notEqual(vet(address), 'usable'));

  for (const address of PRIVATE)
    it(`lets ${address} pass for a rule that says so`, () => assert.equal(vet(address, true), 'usable'));
  for (const address of [...METADATA, ...NEVER, ...OTHERS, 'fe80::1', '169.254.1.1'])
    it(`refuses ${address} even so`, () => assert.notEqual(vet(address, true), 'usable'));

  it('refuses what is this computer’s own, private or public, in any spelling', () => {
    for (const address of [
      '192.168.1.5',
      '203.0.114.9',
      '2a00:1450::9',
      '::ffff:203.0.114.9',
      '64:ff9b::cb00:7209',
    ])
      for (const allowPrivate of [false, true])
        assert.match(vet(address, allowPrivate), /address of this computer/, `${address} ${allowPrivate}`);
    assert.notEqual(vet('fe80::1', true), 'usable');
  });

  it('lets metadata and own addresses pass only for a rule that names that very address', () => {
    for (const address of [
      '169.254.169.254',
      '168.63.129.16',
      '192.168.1.5',
      '2a00:1450::9',
      'fd00:ec2::254',
    ]) {
      assert.equal(vet(address, true, address), 'usable', address);
      assert.notEqual(vet(address, false, address), 'usable', address);
      assert.notEqual(vet(address, true, '169.254.169.253'), 'usable', address);
    }
    for (const address of NEVER) assert.notEqual(vet(address, true, address), 'usable', address);
  });

  it('sorts a mixed answer, none twice, at most 64', () => {
    const { usable, refused } = vetAddresses(
      ['8.8.8.8', '127.0.0.1', '::ffff:8.8.8.8', '1.1.1.1', 'evil\u001b[31m'],
      { allowPrivate: false, ownAddresses: [] },
    );
    assert.deepEqual(usable, ['8.8.8.8', '1.1.1.1']);
    assert.deepEqual(
      refused.map(({ address }) => address),
      ['127.0.0.1', '(not an address)'],
    );
    const many = Array.from({ length: 1000 }, (_, n) => `8.8.${n >> 8}.${n & 255}`);
    assert.equal(vetAddresses(many, { allowPrivate: false, ownAddresses: [] }).usable.length, 64);
    assert.deepEqual(vetAddresses([], { allowPrivate: true, ownAddresses: [] }), { usable: [], refused: [] });
  });
});
