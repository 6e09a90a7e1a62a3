// A selection of the cases of test/conformance, built in one builder machine. All of them:
// `node test/conformance/count-cases.ts`.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { readCases } from '../conformance/cases.ts';
import { runCase } from '../conformance/run-case.ts';
import { openSharedWorkshop, type SharedWorkshop } from '../conformance/workshop.ts';
import { staticBusybox } from '../image/debian-program.ts';

const box = staticBusybox();
const { cases } = readCases();
/** Each has what no other has. */
const CHOSEN = [
  'copy-escape-glob',
  'copy folder with dot contents to higher level',
  'multi stage base',
  'directory',
  'copy dir',
  'copy from symlink source',
  'copy-permissions-implicit',
  'stage-container-as-source-plus-hardlinks',
  'setuid-file-in-context',
  'setuid-file-in-archive',
  'xattrs-file-in-archive',
  'copy-multiple-some-missing',
  'copy-multiple-some-missing-glob',
  'copy--exclude-exception-under-source',
  'copy--form-and--exclude-subdir-under-source',
  'dockerignore-exceptions-skip',
  'dockerignore-exclude-wildcard-dot',
  'dockerignore-exclude-kind-of-deep-subdir-star',
  'dockerignore-allowlist-alternating',
  'env-multiline',
  'env-invalid-ssquote',
  'copy-from-owner-with-chown',
  'add-parent-dangling',
  'add-archive-7',
  'add-not-dir-dir',
  'add-populated-dir-not-dir',
  'tar-g',
  'heredoc-copy',
  'heredoc-quoting',
  'replace-symlink-with-directory-subdir',
  'workdir-owner',
  'edgecases',
  'chown-volume',
  'builtins',
  'copyglob-4',
  'mount-cache-by-ownership',
];

describe('what Docker makes of a Dockerfile', { skip: 'missing' in box && box.missing }, () => {
  let shared: SharedWorkshop;
  before(async () => {
    shared = await openSharedWorkshop();
  });
  after(async () => await shared?.close());

  it('is built in another machine when the first one says nothing', () => {
    assert.deepEqual(shared.said, ['its machine says nothing: starting another']);
  });

  for (const name of CHOSEN)
    it(`is made here too: ${name}`, async () => {
      const one = cases.find((each) => each.name === name);
      assert.ok(one, 'there is such a case');
      assert.deepEqual(await runCase(one, shared), []);
    });
});
