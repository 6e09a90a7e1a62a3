// Which stages a target needs and what they stand on; where a name can mean several things, which one it means.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sourceKey } from '../../src/environment/dockerfile/index.ts';
import { planOf } from './plan.ts';

function bases(text: string, options = {}): string[] {
  return planOf(text, options).plan.stages.map(({ base }) => sourceKey(base));
}

describe('stages', () => {
  const file = 'FROM a AS one\nFROM b AS two\nFROM one AS three\nCOPY --from=1 x y\nFROM c\n';

  it('are those that the target needs, in order', () => {
    const needed = (target: string | null) => planOf(file, { target }).plan.stages.map(({ index }) => index);
    assert.deepEqual(needed(null), [3]);
    assert.deepEqual(needed('THREE'), [0, 1, 2]);
    assert.deepEqual(needed('0'), [0]);
  });

  it('stand on what FROM means with the arguments of the build', () => {
    const text = 'ARG V=12\nARG BASE=debian:${V}\nFROM ${BASE}';
    assert.deepEqual(bases(text), ['image docker.io/library/debian:12 ']);
    assert.deepEqual(bases(text, { buildArgs: { V: '13' } }), ['image docker.io/library/debian:13 ']);
    assert.deepEqual(bases(text, { buildArgs: { BASE: 'scratch' } }), ['scratch']);
  });

  it('have their platform, by an argument that nobody declared', () => {
    assert.deepEqual(bases('FROM --platform=$BUILDPLATFORM a', { platform: 'linux/arm64' }), [
      'image docker.io/library/a:latest linux/arm64',
    ]);
    assert.deepEqual(bases('FROM --platform=aarch64 a'), ['image docker.io/library/a:latest linux/arm64']);
  });

  it('and images are replaced by named contexts', () => {
    const contexts = ['debian', 'one'];
    assert.deepEqual(bases('FROM docker.io/library/debian:latest', { contexts }), ['context "debian"']);
    assert.deepEqual(bases('FROM a AS one\nRUN x\nFROM one', { contexts }), ['context "one"']);
    assert.deepEqual(planOf('FROM a AS one\nRUN x', { contexts }).target.steps, []);
    const { plan } = planOf('FROM scratch\nCOPY --from=debian a b\nRUN --mount=from=one,target=/x y', {
      contexts,
    });
    assert.deepEqual(plan.stages[0]!.uses.map(sourceKey), ['context "debian"', 'context "one"']);
    assert.deepEqual(plan.images, []);
  });

  it('of one name: the later one counts, and a stage may stand on its namesake', () => {
    const text = 'FROM a AS x\nFROM x AS x\nFROM scratch\nCOPY --from=X f /';
    assert.deepEqual(
      planOf(text).plan.stages.map(({ index }) => index),
      [0, 1, 2],
    );
  });

  it('that a trigger of the stage below reads from are needed too', () => {
    const text = 'FROM scratch AS files\nFROM scratch AS base\nONBUILD COPY --from=files a /b\nFROM base';
    const { plan, target } = planOf(text);
    assert.deepEqual(
      plan.stages.map(({ index }) => index),
      [0, 1, 2],
    );
    assert.deepEqual(
      target.steps.map(({ line, text: said }) => [line, said]),
      [[4, 'COPY --from=files a /b']],
    );
  });

  it('tell which build arguments nothing takes', () => {
    const text = 'ARG A\nFROM a AS unused\nARG B\nFROM b\nARG C';
    const buildArgs = { A: '', B: '', C: '', D: '', HTTP_PROXY: '', TARGETARCH: '' };
    assert.deepEqual(planOf(text, { buildArgs }).plan.unusedBuildArgs, ['B', 'D']);
  });

  it('that another stage is read from in an image’s trigger must stand before', () => {
    const image = { OnBuild: ['COPY --from=late a b'] };
    assert.throws(() => planOf('FROM a AS early\nFROM scratch AS late', { image, target: 'early' }), {
      message: /^Dockerfile:1:1: the image's ONBUILD trigger reads from the stage late/,
    });
  });
});
