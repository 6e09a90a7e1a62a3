// What is done to build a stage. That whole plans are BuildKit's was compared with BuildKit; here are the rules, one each.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CopyStep, type RunStep, writeConfig } from '../../src/environment/dockerfile/index.ts';
import { type PlanOptions, planOf } from './plan.ts';

function lastRun(text: string, options: PlanOptions = {}): RunStep {
  return planOf(text, options).target.steps.findLast((step) => step.kind === 'run')!;
}

function envOf(text: string, options: PlanOptions = {}): Record<string, string> {
  const { PATH, ...rest } = Object.fromEntries(lastRun(`FROM a\n${text}\nRUN x`, options).env);
  assert.ok(PATH);
  return rest;
}

function copyOf(line: string, before = ''): CopyStep {
  return planOf(`FROM scratch\n${before}\n${line}`).target.steps.find((step) => step.kind === 'copy')!;
}

function configOf(text: string, options: PlanOptions = {}): Record<string, unknown> {
  const { Env, WorkingDir, ...config } = writeConfig(planOf(`FROM a\n${text}`, options).target.config);
  void [Env, WorkingDir];
  return config;
}

describe('variables', () => {
  it('of ARG: the build’s, then the default, then the one before the first FROM', () => {
    assert.deepEqual(envOf('ARG A=1'), { A: '1' });
    assert.deepEqual(envOf('ARG A=1', { buildArgs: { A: '2' } }), { A: '2' });
    assert.deepEqual(envOf('ARG A'), {});
    assert.deepEqual(envOf('', { buildArgs: { A: '2' } }), {});
    const text = 'ARG A=global\nFROM a\nARG A\nRUN x';
    assert.equal(Object.fromEntries(lastRun(text).env)['A'], 'global');
  });

  it('of one ENV are filled in before any is set, of one ARG one after the other', () => {
    assert.deepEqual(envOf('ENV A=1\nENV A=2 B=$A'), { A: '2', B: '1' });
    assert.deepEqual(envOf('ARG A=1 B=$A'), { A: '1', B: '1' });
  });

  it('go on into a stage that stands on this one, its ARGs too', () => {
    const text = 'FROM a AS b\nARG A=1\nENV E=$A\nFROM b\nRUN x';
    const { A, E } = Object.fromEntries(lastRun(text).env);
    assert.deepEqual([A, E], ['1', '1']);
    assert.deepEqual(planOf(text).target.config.Env.slice(1), ['E=1']);
  });

  it('of proxies are given to commands, and are no part of what the cache compares', () => {
    const [plain, proxied] = [
      lastRun('FROM a\nRUN x'),
      lastRun('FROM a\nRUN x', { buildArgs: { HTTP_PROXY: 'p' } }),
    ];
    assert.deepEqual(proxied.proxyEnv, [
      ['HTTP_PROXY', 'p'],
      ['http_proxy', 'p'],
    ]);
    assert.equal(proxied.cacheText, plain.cacheText);
    assert.ok(!proxied.env.some(([name]) => name === 'HTTP_PROXY'));
  });
});

describe('RUN', () => {
  it('in shell form is run by SHELL, in JSON form by itself', () => {
    assert.deepEqual(lastRun('FROM a\nRUN echo $A').argv, ['/bin/sh', '-c', 'echo $A']);
    assert.deepEqual(lastRun('FROM a\nSHELL ["/bin/bash", "-c"]\nRUN x').argv, ['/bin/bash', '-c', 'x']);
    assert.deepEqual(lastRun('FROM a\nRUN ["echo", "$A"]').argv, ['echo', '$A']);
  });

  it('of a here-document is its text, a script of its own, or what the shell makes of it', () => {
    assert.deepEqual(lastRun('FROM a\nRUN <<-E\n\techo $A\nE').argv.at(-1), 'echo $A\n');
    const script = lastRun('FROM a\nRUN <<E\n#!/usr/bin/python3\n1\nE');
    assert.deepEqual(script.script, { path: '/dev/pipes/E', content: '#!/usr/bin/python3\n1\n' });
    assert.deepEqual(script.argv.at(-1), '/dev/pipes/E');
    assert.deepEqual(lastRun('FROM a\nRUN cat <<-E >f\n\tx\nE').argv.at(-1), 'cat <<-E >f\n\tx\nE');
  });

  it('has the user and the folder of what stood before it', () => {
    const { user, workdir } = lastRun('FROM a\nUSER me:us\nWORKDIR /a\nWORKDIR ../b/c\nRUN x\nUSER later');
    assert.deepEqual([user, workdir], ['me:us', '/b/c']);
  });

  it('has mounts', () => {
    const { mounts } = lastRun(
      'FROM a AS b\nFROM a\nARG D=/data\nWORKDIR /w\n' +
        'RUN --mount=type=cache,target=$D,sharing=locked --mount=from=b,target=m,source=../x,rw ' +
        '--mount=type=tmpfs,target=/t,size=1.5k --mount=type=secret,id=k --mount=type=ssh,required x',
    );
    assert.deepEqual(mounts, [
      {
        kind: 'cache',
        id: '/data',
        sharing: 'locked',
        target: '/data',
        from: { kind: 'scratch' },
        source: '/',
        readonly: false,
        uid: 0,
        gid: 0,
        mode: 0o755,
      },
      { kind: 'bind', target: '/w/m', from: { kind: 'stage', index: 0 }, source: '/x', readonly: false },
      { kind: 'tmpfs', target: '/t', sizeBytes: 1536 },
      {
        kind: 'secret',
        id: 'k',
        target: '/run/secrets/k',
        env: null,
        required: false,
        uid: 0,
        gid: 0,
        mode: 0o400,
      },
      { kind: 'ssh', id: 'default', target: null, required: true, uid: 0, gid: 0, mode: 0o600 },
    ]);
  });

  it('is told to people with its variables, and never with a secret', () => {
    assert.equal(lastRun('FROM a\nARG A=1\nRUN echo "$A" $B \\$A').text, 'RUN echo "1" $B \\$A');
    const secret = lastRun('FROM a\nENV T=old\nRUN --mount=type=secret,id=t,env=T echo $T').text;
    assert.match(secret, /echo \*\*\*\*$/);
  });
});

describe('what the cache compares', () => {
  const key = (text: string, options: PlanOptions = {}) => lastRun(text, options).cacheText;

  it('changes with an ARG in scope, and not with one that comes later or is nobody’s', () => {
    const text = 'FROM a\nARG A\nRUN x';
    assert.notEqual(key(text, { buildArgs: { A: '1' } }), key(text, { buildArgs: { A: '2' } }));
    assert.equal(key('FROM a\nRUN x\nARG A=1'), key('FROM a\nRUN x'));
    assert.equal(key('FROM a\nRUN x', { buildArgs: { A: '1' } }), key('FROM a\nRUN x'));
  });

  it('does not change with lines, comments and names of stages', () => {
    const plain = planOf('FROM a AS b\nFROM a\nCOPY --from=b x y\nRUN z').target.steps;
    const other = planOf('# c\n\nFROM a AS q\nFROM a\nCOPY --from=q x y\nRUN \\\n# c\nz').target.steps;
    assert.deepEqual(
      plain.map((step) => step.cacheText),
      other.map((step) => step.cacheText),
    );
  });
});

describe('COPY and ADD', () => {
  it('keep to the folder that they work in, and say when they name a folder', () => {
    const dest = (word: string) => copyOf(`COPY a ${word}`, 'WORKDIR /w').dest;
    assert.deepEqual(['x', 'x/', '.', '/', '../../x/.', '/a/../b'].map(dest), [
      '/w/x',
      '/w/x/',
      '/w/',
      '/',
      '/x/',
      '/b',
    ]);
  });

  it('do not climb out of what they copy from', () => {
    const { sources } = copyOf('COPY ../../etc/passwd /a/../../b a*/ /x/');
    assert.deepEqual(sources, [
      { path: '/etc/passwd', pivot: '/', required: true },
      { path: '/b', pivot: '/', required: true },
      { path: '/a*', pivot: '/', required: false },
    ]);
  });

  it('fill in here-documents whose names are not quoted', () => {
    const { inline } = copyOf('COPY <<f <<"g" /d/\n$A "q" \\$A\nf\n$A\ng', 'ARG A=1');
    assert.deepEqual(inline, [
      { name: 'f', content: '1 "q" $A\n' },
      { name: 'g', content: '$A\n' },
    ]);
  });

  it('carry what is to be done to the files', () => {
    const step = copyOf(
      'COPY --chown=$U --chmod=u=rwX --link --parents --exclude=*.x a/./b/c /d/',
      'ARG U=1:2',
    );
    assert.deepEqual(
      [step.chown, step.chmod, step.link, step.parents, step.excludes, step.sources[0]],
      ['1:2', 'u=rwX', true, true, ['*.x'], { path: '/a/b/c', pivot: '/a', required: true }],
    );
    const sum = `sha256:${'a'.repeat(64)}`;
    const add = copyOf(`ADD --checksum=${sum} --unpack https://e.com/a/b%20c.tgz?x=1 /d/`);
    assert.deepEqual(
      [add.checksum, add.unpack, add.urls],
      [sum, true, [{ url: 'https://e.com/a/b%20c.tgz?x=1', name: 'b c.tgz' }]],
    );
  });
});

describe('the image', () => {
  const image = { Cmd: ['old'], Entrypoint: ['e'], OnBuild: [] };

  it('loses an inherited CMD with a new ENTRYPOINT, and keeps its own', () => {
    assert.deepEqual(configOf('ENTRYPOINT ["n"]', { image }), { Entrypoint: ['n'] });
    assert.deepEqual(configOf('CMD ["c"]\nENTRYPOINT ["n"]', { image })['Cmd'], ['c']);
    assert.deepEqual(configOf('ENTRYPOINT []', { image }), {});
    assert.deepEqual(configOf('', { image }), { Cmd: ['old'], Entrypoint: ['e'] });
  });

  it('says what its instructions say', () => {
    const text =
      'LABEL a=$X b="c d" __proto__=p\nEXPOSE 80 9-10/udp\nVOLUME /v /w\nSTOPSIGNAL SIGINT\nUSER 1\n' +
      'HEALTHCHECK --interval=1m30s --retries=2 CMD curl x\nONBUILD RUN y $X';
    assert.deepEqual(JSON.parse(JSON.stringify(configOf(`ARG X=1\n${text}`))), {
      User: '1',
      Labels: JSON.parse('{"__proto__":"p","a":"1","b":"c d"}'),
      ExposedPorts: { '10/udp': {}, '80/tcp': {}, '9/udp': {} },
      Volumes: { '/v': {}, '/w': {} },
      StopSignal: 'SIGINT',
      Healthcheck: { Test: ['CMD-SHELL', 'curl x'], Interval: 90e9, Retries: 2 },
      OnBuild: ['RUN y $X'],
    });
  });

  it('has its triggers done first, once', () => {
    const { target } = planOf('FROM a\nENV B=$A\nRUN own', { image: { OnBuild: ['ENV A=1', 'RUN theirs'] } });
    assert.deepEqual(
      target.steps.map(({ text }) => text),
      ['RUN theirs', 'RUN own'],
    );
    assert.deepEqual(target.config.Env.slice(1), ['A=1', 'B=1']);
    assert.deepEqual(target.config.OnBuild, []);
  });
});
