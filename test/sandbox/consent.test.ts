// What a devcontainer.json wants of this computer is asked for again whenever it would be something else.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { withInitialize } from '../../src/cli/initialize.ts';
import { WarrenError } from '../../src/protocol/error.ts';
import type { InitializeDetails } from '../../src/protocol/up.ts';
import { allowInitialize, checkInitialize } from '../../src/sandbox/devcontainer/consent.ts';
import { readDevcontainer } from '../../src/sandbox/devcontainer/plan.ts';

const top = realpathSync(mkdtempSync(join(tmpdir(), 'warren-consent-')));
after(() => rmSync(top, { recursive: true, force: true }));
const layout = { data: join(top, 'data'), runtime: join(top, 'run'), config: join(top, 'config') };
const root = join(top, 'app');
mkdirSync(join(root, 'scripts'), { recursive: true });
mkdirSync(join(root, 'data/cache'), { recursive: true });
mkdirSync(join(top, 'secrets/cache'), { recursive: true });
writeFileSync(join(root, 'scripts/init.sh'), 'echo one\n');
const git = (...words: string[]) => execFileSync('git', ['-C', root, ...words]);
git('init', '-q');
git('add', '.');

const around = { root, guestPath: '/workspaces/app', localEnv: {} };

function read(said: object) {
  const place = { path: join(root, '.devcontainer.json'), shown: '.devcontainer.json' };
  return readDevcontainer(JSON.stringify({ image: 'a', ...said }), place, around);
}

/** null: nothing is asked. */
async function asked(said: object, done: string | null = null): Promise<InitializeDetails | null> {
  try {
    await checkInitialize(layout, { root }, read(said), done);
    return null;
  } catch (error) {
    assert.ok(error instanceof WarrenError);
    assert.equal(error.code, 'environment.initialize');
    return error.details as unknown as InitializeDetails;
  }
}

describe('consent', () => {
  it('is to these words and to what they mean, and is remembered', async () => {
    const said = { initializeCommand: 'cd scripts && ./init.sh' };
    const first = await asked(said);
    assert.deepEqual([first?.allowed, first?.text], [false, said.initializeCommand]);
    await allowInitialize(layout, root, first!.digest);
    assert.equal((await asked(said))?.allowed, true);
    assert.equal(await asked(said, first!.digest), null);
    assert.equal(await asked(said, 'skip'), null);
    writeFileSync(join(root, 'scripts/init.sh'), 'echo two\n');
    assert.equal((await asked(said))?.allowed, false);
    assert.notEqual(await asked(said, first!.digest), null);
    assert.equal((await asked({ initializeCommand: 'cd scripts && ./init.sh x' }))?.allowed, false);
  });

  it('holds when what is run changes the very files that it names, and for nothing else', async () => {
    const client = {
      allowInitialize: ({ root: at, digest }: { root: string; digest: string }) =>
        allowInitialize(layout, at, digest),
    };
    const run = (initializeCommand: string) =>
      withInitialize(client, true, (done) =>
        checkInitialize(layout, { root }, read({ initializeCommand }), done),
      );
    const text = 'echo "# more" >> scripts/init.sh';
    assert.deepEqual(await run(text), []);
    assert.equal((await asked({ initializeCommand: text }))?.allowed, true);
    assert.match(readFileSync(join(root, 'scripts/init.sh'), 'utf8'), /^echo two\n# more\n$/);
    await assert.rejects(run('exit 3'), { code: 'environment.initialize-failed' });
    await assert.rejects(
      withInitialize(client, true, (done) =>
        checkInitialize(
          layout,
          { root },
          read({ initializeCommand: done === null ? 'true' : 'false' }),
          done,
        ),
      ),
      { code: 'environment.initialize' },
    );
  });

  it('is not asked for when nothing is wanted', async () => {
    for (const said of [{}, { initializeCommand: '' }, { mounts: ['type=tmpfs,target=/t'] }])
      assert.equal(await asked(said), null);
  });

  it('to a folder is none to where a link will lead one day', async () => {
    const said = { mounts: ['type=bind,source=${localWorkspaceFolder}/data/cache,target=/cache'] };
    const first = await asked(said);
    assert.deepEqual(first?.binds, [{ source: join(root, 'data/cache'), target: '/cache' }]);
    await allowInitialize(layout, root, first!.digest);
    assert.equal((await asked(said))?.allowed, true);
    rmSync(join(root, 'data'), { recursive: true });
    symlinkSync(join(top, 'secrets'), join(root, 'data'));
    const second = await asked(said, first!.digest);
    assert.deepEqual([second?.allowed, second?.binds[0]?.source], [false, join(top, 'secrets/cache')]);
  });
});
