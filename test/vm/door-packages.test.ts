// Package managers in a machine: from registries on loopback that the rules let be read, and `npm ci` of a real project
// in two sandboxes, of which the second asks the registry for no tarball.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { allow, audited, auditOf, DENIED, openDoorWarren, origin } from './door-origins.ts';
import { removeAfter } from './harness.ts';

const warren = openDoorWarren();
const NAME = 'packages';
const REGISTRY = 'https://registry.npmjs.org/';
const PROJECT = { name: 'demo', version: '1.0.0', dependencies: { 'is-number': '7.0.0', ms: '2.1.3' } };
const NPM = 'npm --no-audit --no-fund --no-update-notifier --fetch-retries=0';
const CONTROL =
  'Package: small\nVersion: 1.0\nArchitecture: all\nMaintainer: Ann <ann@example.com>\nDescription: small\n';
const packagesOf = (deb: Buffer) =>
  `${CONTROL}Filename: ./small.deb\nSize: ${deb.length}\nSHA256: ${createHash('sha256').update(deb).digest('hex')}\n\n`;
let npm = 0;
let apt = 0;

before(async () => {
  const files = join(warren.home, 'files');
  const tarball = makeTarball(files);
  const deb = makeDeb(files);
  const [registry, archive] = await Promise.all([
    origin(({ url, headers }, response) => {
      if (url === '/small/-/small-1.0.0.tgz') return response.end(tarball);
      const dist = {
        tarball: `https://${headers.host}/small/-/small-1.0.0.tgz`,
        integrity: `sha512-${createHash('sha512').update(tarball).digest('base64')}`,
      };
      const version = { name: 'small', version: '1.0.0', dist };
      response.end(
        JSON.stringify({ name: 'small', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': version } }),
      );
    }),
    origin(
      ({ url }, response) => {
        const body = url === '/./Packages' ? packagesOf(deb) : url === '/./small.deb' ? deb : null;
        response.writeHead(body === null ? 404 : 200).end(body ?? '');
      },
      { secure: false },
    ),
  ]);
  [npm, apt] = [registry.port, archive.port];
  allow(
    warren,
    { host: 'npm.warren.test', ports: [npm], registry: 'read', allowPrivate: true },
    { host: 'apt.warren.test', ports: [apt], protocol: 'http', registry: 'read', allowPrivate: true },
    { host: 'registry.npmjs.org', registry: 'read', allowPrivate: true },
  );
  await warren.ok(['up', '--detach'], { cwd: warren.repository(NAME) });
});

function makeTarball(files: string): Buffer {
  mkdirSync(join(files, 'package'), { recursive: true });
  writeFileSync(join(files, 'package/package.json'), JSON.stringify({ name: 'small', version: '1.0.0' }));
  writeFileSync(join(files, 'package/index.js'), "module.exports = 'small';\n");
  return execFileSync('tar', ['-cz', '-C', files, 'package']);
}

function makeDeb(files: string): Buffer {
  const folder = join(files, 'deb');
  mkdirSync(join(folder, 'DEBIAN'), { recursive: true, mode: 0o755 });
  mkdirSync(join(folder, 'opt'));
  writeFileSync(join(folder, 'DEBIAN/control'), CONTROL);
  writeFileSync(join(folder, 'opt/small'), 'from an archive\n');
  // As Debian's Java does with its manuals, which are beside it.
  writeFileSync(join(folder, 'opt/small.1'), '.TH small\n');
  const manual = '--slave /usr/share/man/man1/small.1 small.1 /opt/small.1';
  writeFileSync(
    join(folder, 'DEBIAN/postinst'),
    `#!/bin/sh -e\nupdate-alternatives --install /usr/bin/small small /opt/small 10 ${manual}\n`,
    { mode: 0o755 },
  );
  execFileSync('dpkg-deb', ['--build', '--root-owner-group', folder, join(files, 'small.deb')], {
    stdio: 'ignore',
  });
  return readFileSync(join(files, 'small.deb'));
}

const guest = async (line: string, name = NAME) => await warren.run(['exec', name, '--', 'sh', '-c', line]);

describe('a package manager in a machine', { timeout: 900_000 }, () => {
  it('npm installs from a registry that may be read, and may not publish there', async () => {
    const good = await guest(
      `mkdir /tmp/app && cd /tmp/app && echo '{}' > package.json && ${NPM} --registry https://npm.warren.test:${npm}/ install small && node -p "require('small')"`,
    );
    assert.match(good.stdout, /small\n$/, good.stderr);
    const bad = await guest(`cd /tmp/app && ${NPM} --registry https://${DENIED}:${npm}/ install other`);
    assert.match(bad.stderr, new RegExp(`403 Forbidden - GET https://denied\\.warren\\.test:${npm}/other`));
    const denied = await audited(warren, NAME, (event) => event.host === DENIED && event.port === npm);
    assert.equal(denied.decision, 'deny');
    const put = await guest(`curl -sS -X PUT -d x https://npm.warren.test:${npm}/small`);
    assert.match(put.stdout, /only GET, HEAD may be/);
  });

  it('apt has sources whose packages can be kept for all sandboxes: over TLS', async () => {
    const { stdout } = await guest('cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null');
    assert.match(stdout, /^deb https:\/\/deb\.debian\.org\/debian trixie main$/m);
    assert.doesNotMatch(stdout, /http:/);
  });

  it('apt installs from an archive, and says which it may not reach', async () => {
    const from = (host: string) =>
      guest(
        `echo 'deb [trusted=yes] http://${host}:${apt}/ ./' | sudo tee /etc/apt/sources.list >/dev/null; sudo rm -f /etc/apt/sources.list.d/*; sudo apt-get update 2>&1 && sudo apt-get install -y small 2>&1 && cat /opt/small`,
      );
    const good = await from('apt.warren.test');
    assert.match(good.stdout, /from an archive\n$/);
    const bad = await from(DENIED);
    assert.match(bad.stdout, new RegExp(`403 +Forbidden|denied\\.warren\\.test:${apt}`));
    const denied = await audited(warren, NAME, (event) => event.host === DENIED && event.port === apt);
    assert.equal(denied.decision, 'deny');
  });

  it('`npm ci` in a second sandbox asks the registry for no tarball', async (t) => {
    const folder = warren.repository('real', { 'package.json': JSON.stringify(PROJECT) });
    try {
      execFileSync(
        'npm',
        ['install', '--package-lock-only', '--no-audit', '--no-fund', `--registry=${REGISTRY}`],
        {
          cwd: folder,
          stdio: 'ignore',
          timeout: 60_000,
        },
      );
    } catch {
      return t.skip('registry.npmjs.org is not reached from this computer');
    }
    warren.git(folder, 'add', '-A');
    warren.git(folder, 'commit', '-q', '-m', 'lock');
    removeAfter(t, warren, 'first', 'second');
    for (const name of ['first', 'second']) {
      await warren.ok(['up', '--detach', '--name', name], { cwd: folder });
      const done = await guest(`${NPM} ci && node -p "require('ms')('2 days')"`, name);
      const vetoed = (await auditOf(warren, name)).find(({ reason }) =>
        reason?.includes('may not be dialed'),
      );
      if (vetoed) return t.skip(`no rule opens where registry.npmjs.org leads here: ${vetoed.reason}`);
      assert.match(done.stdout, /172800000\n$/, done.stderr);
      const tarballs = (await auditOf(warren, name)).flatMap((event) =>
        event.kind === 'request' && !event.begun && event.path.endsWith('.tgz') ? [event] : [],
      );
      assert.deepEqual(
        tarballs.map(({ status }) => status),
        [200, 200],
      );
      if (name === 'second')
        assert.deepEqual(
          tarballs.map(({ cached }) => cached),
          [true, true],
        );
    }
  });
});
