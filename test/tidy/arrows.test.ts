// The drawing in docs/ARCHITECTURE.md, enforced: which room may import which, and what is documented.

import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, it } from 'node:test';

/** A room imports itself, and these. */
const ARROWS: Record<string, string[]> = {
  protocol: [],
  host: ['protocol'],
  repo: ['host', 'protocol'],
  environment: ['host', 'protocol'],
  image: ['environment', 'host', 'protocol'],
  machine: ['host', 'protocol'],
  egress: ['host', 'protocol'],
  forward: ['host', 'protocol'],
  sandbox: ['repo', 'environment', 'image', 'machine', 'egress', 'forward', 'host', 'protocol'],
  // One process per door, a child of the daemon.
  'door-process': ['egress', 'machine', 'host', 'protocol'],
  // The entry of the daemon chooses the driver.
  daemon: ['sandbox', 'machine', 'host', 'protocol'],
  client: ['host', 'protocol'],
  cli: ['client', 'host', 'protocol'],
};
const LONGEST_FILE = 250;

describe('the rooms', () => {
  const files = globSync('src/**/*.ts').sort();

  it('import along the arrows only', () => {
    const against: string[] = [];
    for (const file of files) {
      const room = file.split('/')[1]!;
      for (const [, path] of readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)) {
        const target = normalize(join(dirname(file), path!)).split('/')[1]!;
        if (target === room || ARROWS[room]?.includes(target)) continue;
        against.push(
          `${file} imports ${path}: ${room} may import ${ARROWS[room]?.join(', ') || 'nothing'}. Take what it needs as a parameter, and let src/sandbox/ hand it in`,
        );
      }
    }
    assert.deepEqual(against, []);
    assert.ok(files.length > 100);
  });

  it('names a driver only in its folder and in the daemon’s entry', () => {
    const naming = files.filter(
      (file) =>
        !file.startsWith('src/machine/drivers/') &&
        file !== 'src/daemon/main.ts' &&
        /from '[^']*drivers\//.test(readFileSync(file, 'utf8')),
    );
    assert.deepEqual(naming, []);
  });

  it('keep their files small', () => {
    const long = files.filter((file) => readFileSync(file, 'utf8').split('\n').length > LONGEST_FILE);
    assert.deepEqual(
      long.filter((file) => file !== 'src/cli/main.ts'),
      [],
    );
  });
});

describe('the documents', () => {
  it('name every file of the layout', () => {
    const disk = readFileSync('docs/DISK.md', 'utf8');
    const names = [...readFileSync('src/host/layout.ts', 'utf8').matchAll(/join\([^)]*'([^']+)'\)/g)].map(
      ([, name]) => name!.split('/').at(-1)!,
    );
    const missing = names.filter(
      (name) => !['warren', 'run', '.config', '.local/share'].includes(name) && !disk.includes(name),
    );
    assert.deepEqual(missing, []);
  });

  it('have no leftovers of a merge', () => {
    const torn = globSync('{README.md,docs/**/*.md,src/**/*.ts,test/**/*.ts,agent/**/*.go,scripts/*}').filter(
      (file) => statSync(file).isFile() && /^(?:<{7}|>{7}) /m.test(readFileSync(file, 'utf8')),
    );
    assert.deepEqual(torn, []);
  });

  it('link to what is there', () => {
    const dead = ['README.md', ...globSync('docs/**/*.md')].flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/\]\(([^)#:]+)\)/g)]
        .map(([, to]) => join(dirname(file), to!))
        .filter((to) => !existsSync(to)),
    );
    assert.deepEqual(dead, []);
  });

  it('name tests that exist', () => {
    const named = [...readFileSync('docs/SECURITY.md', 'utf8').matchAll(/`((?:test|agent)\/[^`]+)`/g)].map(
      ([, name]) => name!,
    );
    assert.ok(named.length > 10);
    assert.deepEqual(
      named.filter((name) => globSync(name).length === 0),
      [],
    );
  });
});
