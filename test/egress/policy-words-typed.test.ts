// A rule that was typed as a command and cannot be: told in words of the command, with one to paste.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inCommandWords } from '../../src/egress/policy/command-words.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import { syntaxObjection } from '../../src/egress/policy/syntax.ts';
import { PLAIN } from '../../src/egress/policy/typed.ts';
import { entryOf } from '../../src/egress/policy/write-entry.ts';
import { WarrenError } from '../../src/protocol/error.ts';

function told(host: string, typed: Partial<Parameters<typeof entryOf>[1]> = {}): WarrenError {
  const hosts = ['good.example', host];
  try {
    const allow = hosts.map((each, nr) => entryOf(each, nr === 0 ? PLAIN : { ...PLAIN, ...typed }));
    parsePolicy({ egress: { allow } }, { source: 'sandbox', file: 'this rule' });
  } catch (error) {
    return inCommandWords(WarrenError.from(error), { name: 'demo', effect: 'allow', hosts });
  }
  assert.fail(`${host} was taken`);
}

describe('what was typed', () => {
  for (const [host, why, remedy, typed] of [
    ['https://example.com', /it has a scheme/, /^warren policy allow demo example\.com$/],
    [
      'http://example.com/v1/x',
      /it has a scheme/,
      /^warren policy allow demo example\.com --http --path '\/v1\/x'$/,
    ],
    ['example.com/v1/*', /it has a slash/, /^warren policy allow demo example\.com --path '\/v1\/\*'$/],
    ['*', /everything/, /^name the hosts; to reach every public one: warren up --network open$/],
    ['*.com', /anybody/, /example\.com/],
    ['127.0.0.1', /loopback/, /warren policy allow demo --host-service 5432$/],
    ['localhost', /loopback/, /warren policy allow demo --host-service 5432$/],
    ['LOCALHOST:8080', /loopback/, /warren policy allow demo --host-service 5432$/],
    ['*.localhost', /loopback/, /warren policy allow demo --host-service 5432$/],
    ['bücher.example', /ASCII/, /^warren policy allow demo xn--bcher-kva\.example$/],
    ['*.BÜCHER.example', /ASCII/, /^warren policy allow demo \*\.xn--bcher-kva\.example$/],
    ['bü;cher.example', /ASCII/, /^write the name alone/],
    ['10.0.0.1/8', /beyond the prefix/, /^warren policy allow demo 10\.0\.0\.0\/8$/],
    ['10.0.0.0/8', /not public/, /^if that is meant: warren policy allow demo 10\.0\.0\.0\/8 --private$/],
    ['10.0.0.0/33', /.+/, /^a range of addresses: warren policy allow demo 10\.1\.0\.0\/16 --private$/],
    ['example.com', /no usual port/, /warren policy allow demo example\.com:22 --tcp$/, { protocol: 'tcp' }],
    ['\u001b[2J', /.+/, /.+/],
    ["x'; rm -rf ~; '.example/a", /.+/, /.+/],
  ] as [string, RegExp, RegExp, Partial<Parameters<typeof entryOf>[1]>?][])
    it(JSON.stringify(host), () => {
      const error = told(host, typed);
      assert.equal(error.code, 'usage.policy');
      assert.match(error.message, /^cannot allow "/);
      assert.match(error.message, why);
      assert.match(error.remedy!, remedy);
      assert.doesNotMatch(error.message + error.remedy, /egress\.allow|[\u0000-\u001f]|rm -rf ~; '$/);
      assert.doesNotMatch(error.remedy!, /[{}]|rm -rf/);
    });
});

describe('a file with a slip', () => {
  for (const [text, why] of [
    ['{"egress": {"allow": ["a.example"', 'line 1: a ] is missing'],
    ['{\n"a": 1\n"b": 2}', 'line 3: a comma is missing'],
    ['{a: 1}', 'line 1: a word that is no value: texts have quotes'],
    ['{"a": "b}', 'line 1: a text has no closing quote'],
    ['{"a" 1}', 'line 1: a : is missing after a key'],
    ['{} {}', 'line 1: something follows the end'],
  ] as const)
    it(text.replaceAll('\n', '⏎'), () => assert.equal(syntaxObjection(text), why));
});
