// A repository's policy without trust, with it, and after a change: it may always take away, and never add.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { followed, type PolicyKeys } from '../../src/egress/policy/trust.ts';

const FITTING = ['npm', 'apt'];
const follow = (now: PolicyKeys, trusted: PolicyKeys | null = null) => followed(now, trusted, FITTING);
const egress = (keys: { allow?: unknown[]; deny?: unknown[]; profiles?: string[]; ask?: boolean }) => ({
  allow: [],
  deny: [],
  profiles: [],
  ask: false,
  ...keys,
});

describe('a policy that nobody trusted', () => {
  it('that is not there is nothing', () => {
    assert.deepEqual(follow({}), { keys: {}, state: 'absent' });
  });

  it('opens no host, no profile, no network and no question', () => {
    assert.deepEqual(follow({ egress: { allow: ['evil.example'], profiles: ['npm', 'pip'], ask: true } }), {
      keys: { egress: egress({ profiles: ['npm'] }) },
      state: 'new',
    });
    assert.deepEqual(follow({ network: 'open' }), { keys: {}, state: 'new' });
    assert.deepEqual(follow({ egress: { profiles: ['open'] } }), {
      keys: { egress: egress({}) },
      state: 'new',
    });
  });

  it('is followed where it asks for less than is given anyway', () => {
    assert.equal(follow({ egress: { profiles: ['npm'], deny: ['npmjs.org'] } }).state, 'trusted');
    assert.deepEqual(follow({ network: 'none' }), { keys: { network: 'none' }, state: 'trusted' });
    assert.deepEqual(follow({ egress: null }), { keys: { egress: egress({}) }, state: 'trusted' });
  });

  it('denies even when the rest of it does not count', () => {
    const { keys, state } = follow({ egress: { allow: ['a.example'], deny: ['b.example'] } });
    assert.deepEqual(keys.egress, egress({ deny: ['b.example'] }));
    assert.equal(state, 'new');
  });
});

describe('a policy that was trusted', () => {
  const trusted = {
    egress: { allow: ['a.example', { host: 'b.example', methods: ['GET'] }], deny: ['c.example'] },
  };

  it('counts as it is, whatever the order of its keys', () => {
    const same = {
      egress: { deny: ['c.example'], allow: ['a.example', { methods: ['GET'], host: 'b.example' }] },
    };
    assert.deepEqual(follow(same, trusted), { keys: same, state: 'trusted' });
  });

  it('may take an entry away, and deny more, without being asked', () => {
    const less = follow({ egress: { allow: ['a.example'], deny: ['c.example', 'd.example'] } }, trusted);
    assert.deepEqual(less, {
      keys: { egress: egress({ allow: ['a.example'], deny: ['c.example', 'd.example'] }) },
      state: 'trusted',
    });
  });

  it('gets nothing new, keeps what was denied, and is asked again', () => {
    for (const now of [
      { egress: { allow: ['a.example', 'new.example'], deny: ['c.example'] } },
      { egress: { allow: ['a.example', { host: 'b.example' }], deny: ['c.example'] } },
      { egress: { allow: ['a.example'] } },
      { egress: { allow: ['a.example'], deny: ['c.example'], ask: true } },
      { egress: { allow: ['a.example'], deny: ['c.example'], profiles: ['pip'] } },
      { network: 'open', egress: { allow: ['a.example'], deny: ['c.example'] } },
    ]) {
      const { keys, state } = follow(now, trusted);
      assert.equal(state, 'changed', JSON.stringify(now));
      assert.deepEqual(keys, { egress: egress({ allow: ['a.example'], deny: ['c.example'] }) });
    }
  });

  it('that is taken away altogether leaves its denials', () => {
    assert.deepEqual(follow({}, trusted), {
      keys: { egress: egress({ deny: ['c.example'] }) },
      state: 'changed',
    });
  });

  it('stays offline until more is trusted', () => {
    assert.deepEqual(follow({ network: 'mediated' }, { network: 'none' }), {
      keys: { network: 'none' },
      state: 'changed',
    });
    assert.equal(follow({ network: 'open' }, { network: 'open' }).state, 'trusted');
    assert.deepEqual(follow({}, { network: 'open' }), { keys: {}, state: 'trusted' });
  });
});
