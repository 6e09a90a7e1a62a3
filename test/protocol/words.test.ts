import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EnvelopeReader, encodeEnvelope } from '../../src/protocol/connect.ts';
import { parseName, suggestName } from '../../src/protocol/names.ts';
import { sanitize, sanitizeLine, shownJson } from '../../src/protocol/sanitize.ts';

describe('names of sandboxes', () => {
  for (const name of ['a', 'demo', 'demo-2', '0', 'a'.repeat(40)])
    it(`takes ${name}`, () => assert.equal(parseName(name), name));
  for (const name of [
    '',
    'a'.repeat(41),
    'a/b',
    '..',
    '-a',
    'a-',
    'a\n',
    'A',
    'ä',
    'a b',
    'a\u0000',
    '.',
    'a,b',
  ]) {
    it(`refuses ${JSON.stringify(name)} and suggests one that it takes`, () => {
      assert.throws(() => parseName(name), { code: 'usage.name' });
      assert.equal(parseName(suggestName(name)), suggestName(name));
    });
  }
});

describe('text of a guest', () => {
  it('loses what a terminal would obey', () => {
    const hostile = '\u001b]52;c;ZXZpbA==\u0007 \u001b[31mred\u009b2J\u202eevil\u200b\r\n\tok';
    const shown = sanitize(hostile);
    assert.doesNotMatch(shown, /[\u001b\u0007\u009b\u202e\u200b\r]/);
    assert.match(shown, /\n\tok$/);
    assert.match(shown, /\\x1b\]52/);
  });

  it('is whole in JSON, and nothing in it is obeyed', () => {
    const hostile =
      '\u001b]52;c;ZXZpbA==\u0007\u009b2J\u007f\u202eevil\u200b\u2028\r\n\tok \u{e0041} 日本語 🙂';
    for (const indent of [0, 2]) {
      const text = shownJson({ hostile, [hostile]: [1] }, indent);
      assert.deepEqual(JSON.parse(text), { hostile, [hostile]: [1] });
      assert.doesNotMatch(text, /[^\n\x20-\x7e日本語🙂]/u);
    }
  });

  it('stays on its line where it must', () => assert.equal(sanitizeLine('a\nb'), 'a\\nb'));

  it('keeps letters of every script', () => assert.equal(sanitize('日本語 éß🙂'), '日本語 éß🙂'));
});

describe('Connect envelopes', () => {
  it('come out as they went in, however the bytes are cut', () => {
    const values = [{ a: 1 }, { b: 'x'.repeat(5000) }, {}];
    const bytes = Buffer.concat(values.map(encodeEnvelope));
    for (const step of [1, 3, 7, 4096]) {
      const reader = new EnvelopeReader();
      const out: unknown[] = [];
      for (let at = 0; at < bytes.length; at += step)
        for (const { value } of reader.push(bytes.subarray(at, at + step))) out.push(value);
      assert.deepEqual(out, values);
    }
  });

  it('refuse a length that no message has', () => {
    const reader = new EnvelopeReader();
    assert.throws(() => [...reader.push(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]))], {
      code: 'agent.invalid-envelope',
    });
  });

  it('refuse what is no object', () => {
    for (const json of ['1', '"x"', 'null', '{', '\u0000']) {
      const head = Buffer.from([0, 0, 0, 0, Buffer.byteLength(json)]);
      assert.throws(() => [...new EnvelopeReader().push(Buffer.concat([head, Buffer.from(json)]))], {
        code: 'agent.invalid-envelope',
      });
    }
  });

  it('survive random bytes without anything but the typed error', () => {
    let seed = 7;
    const random = () => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff;
      return seed / 0x7fffffff;
    };
    for (let round = 0; round < 5000; round++) {
      const bytes = Buffer.from(
        Array.from({ length: Math.floor(random() * 40) }, () => Math.floor(random() * 256)),
      );
      try {
        for (const _ of new EnvelopeReader().push(bytes));
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'agent.invalid-envelope');
      }
    }
  });
});
