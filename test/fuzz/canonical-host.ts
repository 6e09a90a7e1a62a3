// Hosts: what is taken is plain, stays what it is when read again, and is read alike by the URL parser of Node.

import assert from 'node:assert/strict';
import { canonicalHost, hostText, parseAuthority } from '../../src/egress/names/canonical-host.ts';
import { describeHost } from '../../src/egress/names/describe-host.ts';
import { vetAddresses } from '../../src/egress/names/vetting.ts';

export const seeds = [
  'example.com',
  'Example.COM.:443',
  'xn--bcher-kva.example',
  '127.0.0.1:80',
  '0x7f.0.0.1',
  '0177.1',
  '[::ffff:127.0.0.1]:8443',
  '[2001:db8::1%25eth0]',
  '[64:ff9b::7f00:1]',
  'user@evil.example',
  'a.b.c.d.e.f.g.h',
  'build_server.corp.example',
];

export function run(bytes: Buffer): void {
  const text = bytes.toString('utf8');
  const target = parseAuthority(text);
  if (!('refused' in target))
    assert.ok(Number.isInteger(target.port) && target.port > 0 && target.port < 65536);
  const host = canonicalHost(text);
  if ('refused' in host) {
    assert.match(host.refused, /^[\x20-\x7e…]+$/);
    return;
  }
  const canonical = hostText(host);
  assert.match(canonical, /^(?:[a-z0-9._-]{1,253}|\[[0-9a-f:]+\])$/);
  assert.deepEqual(canonicalHost(canonical), host);
  const { text: shown, warning } = describeHost(host);
  assert.match(shown, /^[\x21-\x7e…]+$/);
  assert.doesNotMatch(warning ?? '', /[\x00-\x1f\x7f]/);
  if (host.kind === 'address')
    vetAddresses([host.address], { allowPrivate: true, ownAddresses: [host.address] });
  // Two readers, one host: where URL takes it too, it is the same one. (It refuses some A-labels.)
  const url = URL.parse(`https://${canonical}/`);
  if (url) assert.equal(url.hostname, canonical);
  else assert.match(canonical, /(?:^|\.)xn--/);
}
