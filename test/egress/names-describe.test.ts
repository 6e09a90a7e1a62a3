// How a host is shown to a person who is asked (NE 36).

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { domainToASCII } from 'node:url';
import { canonicalHost } from '../../src/egress/names/canonical-host.ts';
import { describeHost } from '../../src/egress/names/describe-host.ts';

const show = (text: string) => {
  const host = canonicalHost(text);
  assert.ok(!('refused' in host), text);
  return describeHost(host);
};

describe('a host', () => {
  it('is shown with the domain that somebody registered', () => {
    assert.deepEqual(show('api.github.com'), {
      text: 'api.github.com',
      registrable: 'github.com',
      warning: null,
    });
    assert.equal(show('a.b.example.co.uk').registrable, 'example.co.uk');
    assert.equal(show('github.com.login.evil.net').registrable, 'evil.net');
    assert.equal(show('me.github.io').registrable, 'me.github.io');
    assert.equal(show('localhost').registrable, null);
    assert.deepEqual(show('[2001:db8::1]'), { text: '[2001:db8::1]', registrable: null, warning: null });
  });

  for (const [unicode, warning] of [
    ['gіthub.com', /mixes letters of Latin and Cyrillic/],
    ['αpple.com', /mixes letters of Latin and Greek/],
    ['аррӏе.com', /in Cyrillic letters that can look like Latin/],
    ['bücher.de', /not ASCII/],
    ['日本語テスト.jp', /not ASCII/],
    ['日本語latin.jp', /not ASCII/],
    ['sub.日本.gіthub.com', /mixes/],
  ] as const)
    it(`with letters beyond ASCII stays ASCII and warns: ${unicode}`, () => {
      const ascii = domainToASCII(unicode);
      assert.match(ascii, /xn--/);
      const shown = show(ascii);
      assert.equal(shown.text, ascii);
      assert.match(shown.warning!, warning);
    });

  it('with labels that stand for nothing warns', () => {
    assert.match(show('xn--a.example').warning!, /no letters/);
    assert.match(show('a.xn--99999999999.example').warning!, /no letters/);
  });

  it('is never longer than 101 characters, and keeps its registered domain', () => {
    const long = `${'github-com.'.repeat(20)}evil.co.uk`;
    const { text, registrable } = show(long);
    assert.equal(registrable, 'evil.co.uk');
    assert.ok(text.length <= 101 && text.endsWith('…evil.co.uk'), text);
    assert.ok(show(`${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}`).text.length <= 150);
  });
});
