// The judges of `doctor --attack`: what they have seen when all is well holds, and each thing that goes wrong is BROKEN.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ATTACKS } from '../../src/sandbox/attack/attacks.ts';
import type { AttackSight, AttackTarget, VmmSight } from '../../src/sandbox/attack/sights.ts';

const target: AttackTarget = {
  canaryPort: 4711,
  ports: [4711],
  ownAddresses: ['192.0.2.2'],
  privateAddresses: ['10.0.0.1'],
  deniedName: 'x.example',
  secret: { variable: 'S', placeholder: 'wrn_x' },
};
const vmm: VmmSight = {
  alive: true,
  blind: null,
  boxed: true,
  networkArgs: [],
  ownSpaces: true,
  devices: ['lo 0 0'],
  capabilities: '0000',
  noNewPrivileges: true,
  seccompFilter: true,
  isRoot: false,
  visible: ['bin', 'usr', 'warren'],
};
const DENIED = 'HTTP/1.1 403 Forbidden\r\nwarren-denied: none\r\n\r\nWarren: no rule allows it\n';
const OK = 'HTTP/1.1 200 OK\r\n\r\n';
const OTHERS_NO = 'HTTP/1.1 403 Forbidden\r\nServer: nginx\r\n\r\n';
/** What is seen of each when everything holds. */
const GUEST: Record<string, Record<string, unknown>> = {
  'NE 31': { 'UDP 443': 'EPERM', IPv6: 'ENETUNREACH' },
  'NE 32': { devices: ['lo'], controllers: [] },
  'NE 11': { '10.0.0.1:80': DENIED, 'proxy to 127.0.0.1': DENIED },
  'DA 111': { 'host.warren.internal:4711': DENIED, '127.0.0.1:4711': 'ECONNREFUSED' },
  'DN 47': {
    A: '1 198.18.0.9',
    TXT: '0 1.2.3.4',
    localhost: '127.0.0.1',
    'port 853': 'ECONNRESET',
    'plain HTTP': DENIED,
  },
  'NE 34': { namespace: 'entered', '198.18.0.1': 'ENETUNREACH' },
  'SE 49': { variable: 'wrn_x' },
  'FT 77': { '/dev/vda': 'EPERM' },
  'NE 33': {
    '/dev/vport0p1': 'EBUSY',
    'kill 1': 'done',
    redirect: 'flushed',
    'then 192.0.2.2': 'TimeoutError: timed out',
  },
};
const well = (id: string): AttackSight => ({
  guest: GUEST[id] ?? null,
  canaryHits: 0,
  vmm,
  templateUnchanged: true,
  memory: { value: 0, placeholder: 3 },
  call: { failed: 'machine.channel-closed' },
});
const judge = (id: string, sight: Partial<AttackSight>, guest?: Record<string, unknown>) => {
  const attack = ATTACKS.find((each) => each.id === id)!;
  const seen = { ...well(id), ...sight };
  return attack.judge(guest ? { ...seen, guest: { ...seen.guest, ...guest } } : seen, target);
};

describe('an attack', () => {
  for (const { id } of ATTACKS)
    it(`${id} holds when all is well`, () => assert.equal(judge(id, {}).outcome, 'held'));

  const wrong: [id: string, what: string, sight: Partial<AttackSight>, guest?: Record<string, unknown>][] = [
    ['NE 31', 'a datagram was sent', {}, { 'UDP 443': 'sent' }],
    ['NE 31', 'packets are in the VMM’s network', { vmm: { ...vmm, devices: ['lo 0 0', 'eth0 5 9'] } }],
    ['NE 31', 'lo has moved a packet', { vmm: { ...vmm, devices: ['lo 1 1'] } }],
    ['NE 32', 'there is a device', {}, { devices: ['eth0', 'lo'] }],
    ['NE 32', 'there is a controller', {}, { controllers: ['/sys/bus/pci/devices/0/class'] }],
    ['NE 32', 'the VMM was given one', { vmm: { ...vmm, networkArgs: ['-netdev'] } }],
    ['NE 11', 'an address answers', {}, { '10.0.0.1:80': OK }],
    ['NE 11', 'somebody else says no', {}, { '10.0.0.1:80': OTHERS_NO }],
    ['NE 11', 'something that is no HTTP answers', {}, { '10.0.0.1:80': 'SSH-2.0-x' }],
    ['NE 11', 'the canary was reached', { canaryHits: 1 }],
    ['DA 111', 'a port answers', {}, { 'host.warren.internal:4711': OK }],
    ['DA 111', 'the canary was reached, whatever the guest says', { canaryHits: 1 }],
    ['DN 47', 'a real address comes back', {}, { A: '1 93.184.215.14' }],
    ['DN 47', 'TXT has an answer', {}, { TXT: '1 1.2.3.4' }],
    ['DN 47', 'localhost leaves', {}, { localhost: '198.18.0.3' }],
    ['DN 47', 'DoT answers', {}, { 'port 853': 'answered 00' }],
    ['DN 47', 'the name is served', {}, { 'plain HTTP': OK }],
    ['NE 34', 'something is reached', {}, { '198.18.0.1': OK }],
    ['NE 34', 'the canary was reached', { canaryHits: 2 }],
    ['SE 49', 'the value is in memory', { memory: { value: 1, placeholder: 3 } }],
    ['SE 49', 'the variable holds something else', {}, { variable: 'the value' }],
    ['FT 77', 'a file has changed', { templateUnchanged: false }],
    ['VH 98', 'it has no filter', { vmm: { ...vmm, seccompFilter: false } }],
    ['VH 98', 'it is root', { vmm: { ...vmm, isRoot: true } }],
    ['VH 98', 'it has a capability', { vmm: { ...vmm, capabilities: '0001' } }],
    ['VH 98', 'it may gain privileges', { vmm: { ...vmm, noNewPrivileges: false } }],
    ['VH 98', 'it shares a namespace', { vmm: { ...vmm, ownSpaces: false } }],
    ['VH 98', 'it sees more', { vmm: { ...vmm, visible: ['bin', 'home'] } }],
    ['NE 33', 'the agent’s port was opened', {}, { '/dev/vport0p1': 'written' }],
    ['NE 33', 'the way around the door is open', {}, { 'then 192.0.2.2': OK }],
    ['NE 33', 'the canary was reached', { canaryHits: 1 }],
    ['AP 67', 'a call hangs', { call: { hung: true } }],
    ['AP 67', 'a call fails in a way that nobody foresaw', { call: { failed: 'daemon.internal' } }],
    ['AP 67', 'the canary was reached', { canaryHits: 1 }],
  ];
  for (const [id, what, sight, guest] of wrong)
    it(`${id} is BROKEN when ${what}`, () => assert.equal(judge(id, sight, guest).outcome, 'broken'));

  it('whose guest says nothing, or nothing that counts, has not run', () => {
    for (const id of Object.keys(GUEST)) assert.equal(judge(id, { guest: null }).outcome, 'not-run', id);
    assert.equal(judge('SE 49', { memory: null }).outcome, 'not-run');
    assert.equal(judge('SE 49', { memory: { value: 0, placeholder: 0 } }).outcome, 'not-run');
    assert.equal(judge('FT 77', { templateUnchanged: null }).outcome, 'not-run');
    assert.equal(judge('VH 98', { vmm: { ...vmm, boxed: false } }).outcome, 'not-run');
    assert.equal(judge('VH 98', { vmm: { ...vmm, blind: 'EACCES' } }).outcome, 'not-run');
    const dns = ATTACKS.find(({ id }) => id === 'DN 47')!;
    assert.match(dns.unless!({ ...target, deniedName: null })!, /opens every name/);
  });

  it('shows nothing of a guest that a terminal obeys', () => {
    const { says } = judge('DA 111', {}, { '\u001b[2J': '\u001b]52;c;x\u0007\u202e' });
    assert.doesNotMatch(says, /[\u0000-\u001f\u202e]/);
    assert.ok(says.length < 250);
  });
});
