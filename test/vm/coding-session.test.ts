// A coding session's whole network under `mediated`: dependencies come from a registry, the work is pushed over https with
// a token that the machine never has, a dev server is opened from the host by a stable name, and nothing else is reached.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import type { PortsView } from '../../src/protocol/forwards.ts';
import { allow, auditOf, DENIED, openDoorWarren, origin } from './door-origins.ts';
import { gitOrigin } from './git-origin.ts';
import { command, removeAfter, until } from './harness.ts';

const warren = openDoorWarren();
const TOKEN = 'ghp_real0token0of0the0host0000000000000';
const HELPER = `'!f() { echo username=x; echo "password=$TOKEN"; }; f'`;
const SERVER = `
const small = require('small');
require('http').createServer((_, response) => response.end('dev server with ' + small)).listen(3000, '127.0.0.1');
`;

it('npm install, git push with a token, a dev server in a browser', { timeout: 900_000 }, async (t) => {
  const tarball = makeTarball(join(warren.home, 'files'));
  const registry = await origin(({ url, headers }, response) => {
    if (url === '/small/-/small-1.0.0.tgz') return response.end(tarball);
    const dist = {
      tarball: `https://${headers.host}/small/-/small-1.0.0.tgz`,
      integrity: `sha512-${createHash('sha512').update(tarball).digest('base64')}`,
    };
    const versions = { '1.0.0': { name: 'small', version: '1.0.0', dist } };
    response.end(JSON.stringify({ name: 'small', 'dist-tags': { latest: '1.0.0' }, versions }));
  });
  const git = gitOrigin(join(warren.home, 'git'), 'app.git', TOKEN);
  const remote = await origin(git.listener);
  allow(
    warren,
    { host: 'npm.warren.test', ports: [registry.port], registry: 'read', allowPrivate: true },
    {
      host: 'git.warren.test',
      ports: [remote.port],
      allowPrivate: true,
      git: { fetch: true, push: 'refs/heads/warren/*' },
    },
  );
  const url = `https://git.warren.test:${remote.port}/app.git`;
  const repository = warren.repository('coding', {
    'warren.json': '{ "network": "mediated" }\n',
    'package.json': JSON.stringify({ name: 'coding', version: '1.0.0', dependencies: { small: '1.0.0' } }),
    '.npmrc': `registry=https://npm.warren.test:${registry.port}/\n`,
    '.gitignore': 'node_modules\n',
    'server.js': SERVER,
  });
  warren.git(repository, 'push', '-q', git.folder, 'main');
  await warren.ok(['daemon', 'start']);
  const secret = ['secret', 'add', 'TOKEN', '--host', `git.warren.test:${remote.port}`, '--from', 'env:REAL'];
  await warren.ok(secret, { cwd: repository, env: { REAL: TOKEN } });
  removeAfter(t, warren, 'coding');
  await warren.ok(['up', '--detach'], { cwd: repository });
  const guest = (line: string) => warren.sh('coding', line);

  await guest('npm install --no-audit --no-fund --no-update-notifier');
  assert.ok(registry.asked.some((line) => line.endsWith('GET /small/-/small-1.0.0.tgz')));

  await guest(
    `git config --global credential.helper ${HELPER} && git remote add hub ${url} && echo done > work.txt && git add -A && git commit -qm work && git push -q hub HEAD:warren/coding`,
  );
  assert.equal(warren.git(git.folder, 'log', '-1', '--format=%s', 'warren/coding'), 'work\n');
  assert.match(warren.git(git.folder, 'ls-tree', '--name-only', 'warren/coding'), /^package-lock\.json$/m);
  assert.deepEqual([...git.told], [TOKEN]);

  await guest('setsid node server.js > /tmp/server.log 2>&1 < /dev/null &');
  const view = await until('the dev server listens', async () => {
    const now = await warren.json<PortsView>(['forward', 'ls', 'coding']);
    return now.listening.some(({ port }) => port === 3000) ? now : undefined;
  });
  const page = `http://3000-coding.localhost:${view.names.port!}/`;
  const opened = await command('curl', ['-sS', '--noproxy', '*', '--max-time', '20', page], {
    env: warren.env,
  });
  assert.equal(opened.stdout, 'dev server with small');

  const denied = await guest(`curl -sS https://${DENIED}:${remote.port}/`);
  assert.match(denied, /to allow it: warren policy allow coding denied\.warren\.test/);
  const events = await auditOf(warren, 'coding');
  assert.ok(!JSON.stringify(events).includes(TOKEN));
  assert.deepEqual(
    new Set(
      events.flatMap((event) => ('decision' in event && event.decision === 'deny' ? [event.host] : [])),
    ),
    new Set([DENIED]),
  );
  await warren.ok(['audit', 'verify', 'coding']);
  await warren.ok(['merge', 'coding'], { cwd: repository });
  assert.equal(warren.git(repository, 'show', 'HEAD:work.txt'), 'done\n');
});

function makeTarball(files: string): Buffer {
  mkdirSync(join(files, 'package'), { recursive: true });
  writeFileSync(join(files, 'package/package.json'), JSON.stringify({ name: 'small', version: '1.0.0' }));
  writeFileSync(join(files, 'package/index.js'), "module.exports = 'small';\n");
  return execFileSync('tar', ['-cz', '-C', files, 'package']);
}
