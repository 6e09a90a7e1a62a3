// What is wrong with a file that somebody wrote, told without the validator's own words.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parsePolicy, parsePolicyText } from '../../src/egress/policy/parse.ts';
import { parseDevcontainer } from '../../src/environment/devcontainer/parse.ts';
import { WarrenError } from '../../src/protocol/error.ts';
import { parseSettings } from '../../src/sandbox/settings.ts';

function refusal(read: () => unknown): WarrenError {
  try {
    read();
  } catch (error) {
    const told = WarrenError.from(error);
    assert.doesNotMatch(told.message, /Invalid |Expected |received|never|Object|Array|\u001b/, told.message);
    assert.ok(told.remedy, told.message);
    return told;
  }
  assert.fail('it was taken');
}

describe('settings', () => {
  for (const [text, why] of [
    [
      '{"egres": {}}',
      /^cannot use \/r\/warren\.json: there is no key "egres"; is "egress" meant\? There are also .*network/,
    ],
    ['{"nonsense": 1}', /there is no key "nonsense"; there are .*egress/],
    ['null', /warren\.json: it must be an object, \{…\}, and it is null$/],
    ['[]', /warren\.json: it must be an object, \{…\}, and it is a list$/],
    ['"x"', /it must be an object, \{…\}, and it is "x"$/],
    ['{"cpus": "two"}', /warren\.json: cpus: it must be a number, and it is "two"$/],
    ['{"carry": {}}', /carry: it must be a list, \[…\], and it is an object/],
    ['{"carry": [1]}', /carry\.0: it must be a text, "…", and it is 1$/],
    ['{"downloads": 7}', /warren\.json: downloads: it must be an object, \{…\}, and it is 7$/],
    ['{"downloads": []}', /downloads: it must be an object, \{…\}, and it is a list$/],
    [
      '{"downloads": {"keeep": true}}',
      /downloads: there is no key "keeep"; is "keep" meant\? There are also maxGib/,
    ],
    ['{"downloads": {"maxGib": 0}}', /downloads\.maxGib: it must be at least 1$/],
    ['{"downloads": {"maxGib": 1.5}}', /downloads\.maxGib: it must be a whole number$/],
    ['{"prepare": {"inputs": []}}', /prepare: the key "run" is missing$/],
    ['{"prepare": 7}', /prepare: it must be a text, "…" or a list, \[…\] or an object, \{…\}, and it is 7$/],
    [
      '{"environment": {"dockerfile": "x", "target": 7}}',
      /environment\.target: it must be a text, "…", and it is 7$/,
    ],
    ['{"\\u001b[2J": 1}', /there is no key "/],
  ] as const)
    it(text, () => {
      const told = refusal(() => parseSettings(text, '/r/warren.json'));
      assert.equal(told.code, 'usage.settings');
      assert.match(told.message, why);
    });
});

describe('rules', () => {
  for (const [egress, why] of [
    [{ alow: [] }, /egress: there is no key "alow"; is "allow" meant\? There are also profiles, deny/],
    [[], /egress: it must be an object, \{…\}, and it is a list$/],
    [{ allow: 'a.example' }, /egress\.allow: it must be a list, \[…\], and it is "a\.example"$/],
    [{ allow: [{ hots: 'a.example' }] }, /there is no key "hots"; is "host" meant\?/],
    [
      { allow: [{ host: 'a.example', git: { pull: true } }] },
      /\.git: there is no key "pull"; is "push" meant\?/,
    ],
    [{ allow: [{ host: 'a.example', ports: [0] }] }, /\.ports\.0: it must be at least 1$/],
    [{ allow: [{ host: 'a.example', ports: [] }] }, /\.ports: it must not be empty$/],
    [{ allow: [{ host: 'a.example', protocol: 'ftp' }] }, /protocol: it must be "https" or "http" or/],
    [{ allow: [{ host: 'a.example', methods: ['get'] }] }, /a method is in capitals/],
    [{ allow: [7] }, /it must be an object, \{…\}, and it is 7$/],
    [{ ask: 'yes' }, /egress\.ask: it must be true or false, and it is "yes"$/],
  ] as const)
    it(JSON.stringify(egress), () => {
      const told = refusal(() => parsePolicy({ egress }, { source: 'project', file: 'warren.json' }));
      assert.equal(told.code, 'usage.policy');
      assert.match(told.message, why);
    });

  it('that are no object at all', () => {
    for (const text of ['[]', 'null', '7'])
      assert.match(
        refusal(() => parsePolicyText(text, { source: 'user', file: 'x' })).message,
        /it must be an object/,
      );
  });
});

describe('devcontainer.json', () => {
  for (const [text, why] of [
    ['{"image": 7}', /image: it must be a text, "…", and it is 7$/],
    ['{"mounts": [{"type": "volume"}]}', /mounts\.0: the key "target" is missing$/],
  ] as const)
    it(text, () => {
      const told = refusal(() => parseDevcontainer(text, 'devcontainer.json'));
      assert.match(told.message, why);
    });
});
