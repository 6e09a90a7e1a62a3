// What `prune` takes, and what it never takes; ages and sizes as people write them.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseAge, parseSize, untilOf } from '../../src/cli/quantity.ts';
import {
  type Inventory,
  type PruneOptions,
  planPrune,
  type StoredName,
  type StoredPart,
  type StoredTemplate,
} from '../../src/sandbox/prune/plan.ts';

const DAY_MS = 24 * 3_600_000;
const NOW = 1000 * DAY_MS;
const DEFAULT: PruneOptions = { all: false, olderThanMs: null, keepBytes: null };

function template(id: string, days: number, more: Partial<StoredTemplate> = {}): StoredTemplate {
  const at = NOW - days * DAY_MS;
  const rest = {
    users: [],
    damaged: false,
    kind: 'small',
    image: 'builtin',
    layers: [],
    isNamed: false,
    kernel: 'k2',
  };
  return { id, bytes: 100, usedAtMs: at, createdAtMs: at, ...rest, ...more };
}

function name(text: string, image: string, days: number, more: Partial<StoredName> = {}): StoredName {
  const usedAtMs = NOW - days * DAY_MS;
  return { file: `${text}@${image}`, name: text, image, layers: [], usedAtMs, isGone: false, ...more };
}

const part = (bytes: number, madeAtMs = 0): StoredPart => ({ bytes, madeAtMs });

/** Sixty bytes of layers are the Dockerfile's, of which the image has forty. */
const store: Inventory = {
  templates: [
    template('builtin-old', 9),
    template('builtin-new', 1),
    template('builtin-large', 9, { kind: 'large' }),
    template('builtin-in-use', 90, { users: ['blue'], kernel: 'k1' }),
    template('builtin-broken', 1, { damaged: true, image: '', kernel: '' }),
    template('alpine', 5, { isNamed: true, image: 'alpine' }),
    template('edited', 5, { isNamed: true, image: 'before-edit' }),
    template('dockerfile', 2, { isNamed: true, image: 'dockerfile' }),
    template('dockerfile-prepared', 2, { isNamed: true, image: 'dockerfile', kind: 'small repo' }),
    template('forgotten', 40, { isNamed: true, image: 'forgotten' }),
    template('gone', 2, { isNamed: true, image: 'gone' }),
  ],
  names: [
    name('alpine:3', 'alpine', 5, { layers: ['a.tar'] }),
    name('/r/Dockerfile', 'dockerfile', 2, { layers: ['a.tar', 'd.tar', 'stage.tar'] }),
    name('debian:12', '', 2, { layers: ['base.tar'] }),
    name('/old/Dockerfile', 'forgotten', 40, { layers: ['f.tar'] }),
    name('/gone/Dockerfile', 'gone', 2, { layers: ['g.tar'], isGone: true }),
  ],
  images: new Map([
    ['builtin', { ...part(50), layers: [] }],
    ['alpine', { ...part(1), layers: ['a.tar'] }],
    ['before-edit', { ...part(1), layers: ['a.tar', 'e.tar'] }],
    ['dockerfile', { ...part(1), layers: ['a.tar', 'd.tar'] }],
    ['forgotten', { ...part(1), layers: ['f.tar'] }],
    ['gone', { ...part(1), layers: ['g.tar'] }],
  ]),
  layers: new Map(
    ['a', 'd', 'stage', 'base', 'e', 'f', 'g'].map((each) => [`${each}.tar`, part(20)] as const),
  ),
  kernels: new Map([
    ['debian-6.12', part(10)],
    ['k1', part(10)],
    ['k2', part(10)],
    ['k0', part(10)],
  ]),
  caches: [{ id: 'cache', bytes: 300, usedAtMs: NOW - 3 * DAY_MS }],
  downloads: [
    { id: '/d/old', bytes: 30, usedAtMs: NOW - 20 * DAY_MS },
    { id: '/d/new', bytes: 30, usedAtMs: NOW - DAY_MS },
  ],
  archives: [
    { id: '/a/old', bytes: 5, usedAtMs: NOW - 31 * DAY_MS },
    { id: '/a/new', bytes: 5, usedAtMs: NOW - 8 * DAY_MS },
  ],
};
const plan = (options: Partial<PruneOptions>) => planPrune(store, { ...DEFAULT, ...options }, NOW);

describe('prune', () => {
  it('leaves what sandboxes need and what the next `up` would use', () => {
    const { templates, images, layers, kernels, names, caches, downloads } = plan({});
    assert.deepEqual(templates, ['builtin-old', 'builtin-broken', 'edited', 'forgotten', 'gone']);
    assert.deepEqual(images, ['before-edit', 'forgotten', 'gone']);
    // A stage that is in no image, and what is only built upon, are found by the next build.
    assert.deepEqual(layers, ['e.tar', 'f.tar', 'g.tar']);
    assert.deepEqual(names, ['/old/Dockerfile@forgotten', '/gone/Dockerfile@gone']);
    assert.deepEqual(kernels, ['k0']);
    assert.deepEqual([caches, downloads], [['cache'], ['/d/old', '/d/new']]);
  });

  it('by age takes what was used longer ago, and nothing else', () => {
    const { templates, caches, downloads, names } = plan({ olderThanMs: 7 * DAY_MS });
    assert.deepEqual(templates, ['builtin-old', 'builtin-large', 'builtin-broken', 'forgotten']);
    assert.deepEqual([caches, downloads], [[], ['/d/old']]);
    assert.deepEqual(names, ['/old/Dockerfile@forgotten']);
  });

  it('by size takes what was used longest ago until it fits, and never what a sandbox needs', () => {
    const all = plan({ keepBytes: Number.MAX_SAFE_INTEGER });
    assert.deepEqual([all.templates, all.caches], [['builtin-broken'], []]);
    for (let keepBytes = all.leftBytes; keepBytes >= 0; keepBytes -= 50) {
      const { templates, leftBytes, caches } = plan({ keepBytes });
      assert.equal(templates.includes('builtin-in-use'), false);
      assert.ok(leftBytes <= keepBytes || templates.length === store.templates.length - 1);
      const kept = store.templates.filter(({ id, users }) => !templates.includes(id) && users.length === 0);
      const oldest = Math.min(...kept.map(({ usedAtMs }) => usedAtMs));
      const gone = store.templates.filter(({ id, damaged }) => templates.includes(id) && !damaged);
      for (const { usedAtMs } of gone) assert.ok(usedAtMs <= oldest);
      if (oldest < NOW - 3 * DAY_MS) assert.deepEqual(caches, []);
    }
    const least = plan({ keepBytes: 0 });
    assert.deepEqual(least.images.includes('builtin'), false);
    assert.deepEqual(least.kernels, ['k2', 'k0']);
  });

  it('by age and size takes what is older, as long as there is too much', () => {
    assert.deepEqual(plan({ olderThanMs: 7 * DAY_MS, keepBytes: Number.MAX_SAFE_INTEGER }).templates, [
      'builtin-broken',
    ]);
    const { templates, caches } = plan({ olderThanMs: 4 * DAY_MS, keepBytes: 0 });
    assert.deepEqual(caches, []);
    assert.ok(templates.includes('alpine') && !templates.includes('dockerfile'));
  });

  it('by age leaves what was made since, though nothing names it yet', () => {
    const another = {
      ...store,
      images: new Map([...store.images, ['new', { ...part(7, NOW - 1000), layers: ['e.tar'] }] as const]),
      layers: new Map([...store.layers, ['new.tar', part(7, NOW - 1000)] as const]),
      kernels: new Map([...store.kernels, ['new', part(7, NOW - 1000)] as const]),
    };
    for (const keepBytes of [null, 0]) {
      const options = { ...DEFAULT, olderThanMs: DAY_MS, keepBytes };
      const { images, layers, kernels } = planPrune(another, options, NOW);
      assert.ok(![...images, ...layers, ...kernels].some((each) => /^new|^e\.tar/.test(each)));
      const later = planPrune(another, options, NOW + DAY_MS);
      assert.ok(
        later.images.includes('new') && later.layers.includes('e.tar') && later.kernels.includes('new'),
      );
    }
  });

  it('of all leaves what sandboxes need', () => {
    const { templates, images, layers, kernels, names } = plan({ all: true });
    assert.equal(templates.length, store.templates.length - 1);
    assert.equal(images.includes('builtin'), false);
    assert.deepEqual([images.length, layers.length, names.length], [5, 7, 5]);
    assert.deepEqual(kernels, ['debian-6.12', 'k2', 'k0']);
  });

  it('keeps what tells how commits were made for 30 days, unless another age is named', () => {
    for (const options of [{}, { all: true }, { keepBytes: 0 }])
      assert.deepEqual(plan(options).archives, ['/a/old']);
    assert.deepEqual(plan({ olderThanMs: 7 * DAY_MS }).archives, ['/a/old', '/a/new']);
    assert.deepEqual(plan({ olderThanMs: 40 * DAY_MS }).archives, []);
  });

  it('keeps the name of an image that a sandbox lies over', () => {
    const used = {
      ...store,
      templates: store.templates.map((each) =>
        each.id === 'forgotten' ? { ...each, users: ['red'] } : each,
      ),
    };
    const { names, layers, images } = planPrune(used, { ...DEFAULT, all: true }, NOW);
    assert.equal(names.includes('/old/Dockerfile@forgotten'), false);
    assert.equal(images.includes('forgotten') || layers.includes('f.tar'), false);
  });

  it('keeps the layers of a template that a sandbox lies over, whatever is left of its image', () => {
    const templates = [
      template('used', 90, { users: ['red'], image: 'spoiled', layers: ['a.tar', 'layer-0.erofs'] }),
    ];
    const images = new Map([['spoiled', { ...part(1), layers: [] }]]);
    const { layers } = planPrune({ ...store, templates, images, names: [] }, { ...DEFAULT, all: true }, NOW);
    assert.equal(layers.includes('a.tar'), false);
    assert.equal(layers.includes('d.tar'), true);
  });

  it('keeps kernels while there is no template yet', () => {
    const fresh = { ...store, templates: [] };
    assert.deepEqual(planPrune(fresh, DEFAULT, NOW).kernels, []);
    assert.equal(planPrune(fresh, { ...DEFAULT, all: true }, NOW).kernels.length, 4);
  });
});

describe('ages and sizes', () => {
  it('are read as people and docker write them', () => {
    assert.equal(parseAge('7d', '--x'), 7 * DAY_MS);
    assert.equal(parseAge('1h30m', '--x'), 90 * 60_000);
    assert.equal(parseAge('1.5h', '--x'), 90 * 60_000);
    assert.equal(parseSize('20GiB', '--x'), 20 * 1024 ** 3);
    assert.equal(parseSize('20GB', '--x'), 20 * 1024 ** 3);
    assert.equal(parseSize('512m', '--x'), 512 * 1024 ** 2);
    assert.equal(parseSize('1000', '--x'), 1000);
    assert.equal(untilOf('until=24h'), DAY_MS);
    assert.equal(untilOf('until=1970-01-03', 3 * DAY_MS), DAY_MS);
  });

  it('are refused when they are none', () => {
    for (const text of ['', '7', 'd', '-7d', '7 d', '7y', '1e3d'])
      assert.throws(() => parseAge(text, '--older-than'), { code: 'usage.prune' }, text);
    for (const text of ['', 'GiB', '-1', '20 XB', '1e9', '0x10'])
      assert.throws(() => parseSize(text, '--keep-storage'), { code: 'usage.prune' }, text);
    assert.throws(() => untilOf('label=x'), { code: 'usage.prune' });
  });
});
