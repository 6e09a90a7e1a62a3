// Carries a repository of the host into a guest and answers with both ends; checks on the way that the host's
// repository was only read.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openRepository, type PackedRepository, packIn, type Repository } from '../../src/repo/index.ts';
import { fingerprint, sh, temporaryFolder } from './fixture.ts';
import { type Guest, user } from './guest.ts';

export interface Journey {
  repository: Repository;
  packed: PackedRepository;
  guestPath: string;
}

export async function travel(guest: Guest, root: string, carry: string[] = []): Promise<Journey> {
  const repository = await openRepository(root);
  const before = fingerprint(repository.root);
  const common = fingerprint(repository.commonDir);
  const guestPath = join(guest.folder, randomBytes(4).toString('hex'), repository.name);
  const transferFolder = temporaryFolder();
  const packed = await packIn(repository, { branch: 'warren/blue', guestPath, carry, transferFolder });
  const answer = await guest.clone(packed.stream(user));
  assert.deepEqual(
    [answer.status, answer.body],
    [200, { head: repository.head }],
    JSON.stringify(answer.body),
  );
  await packed.dispose();
  assert.deepEqual(readdirSync(transferFolder), [], 'nothing is left in the transfer folder');
  assert.deepEqual(fingerprint(repository.root), before, 'the working tree and .git were only read');
  assert.deepEqual(fingerprint(repository.commonDir), common, 'the shared part of .git was only read');
  if (repository.head) {
    sh(guestPath, ['fsck', '--strict', '--no-dangling']);
    assert.equal(
      sh(guestPath, ['rev-parse', 'HEAD', 'refs/warren/base']),
      `${repository.head}\n${repository.head}`,
    );
    const history = (at: string) => sh(at, ['log', '--format=%H %P', 'HEAD']);
    assert.equal(history(guestPath), history(repository.root));
  }
  assert.equal(sh(guestPath, ['symbolic-ref', 'HEAD']), 'refs/heads/warren/blue');
  return { repository, packed, guestPath };
}

export const status = (root: string) =>
  sh(root, ['status', '--porcelain', '--no-renames']).split('\n').filter(Boolean);
