// The certificate authority of a project's doors. Sandboxes of one project share it: programs that were frozen in a
// snapshot have read it already. Two projects never share one. Its key does not leave this computer.

import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as v from 'valibot';
import type { AuthorityPem } from '../../egress/tls/authority.ts';
import { writeJsonAtomic } from '../../host/atomic-file.ts';
import { doorFiles, type Layout, projectFiles, sandboxFiles } from '../../host/layout.ts';
import type { SandboxRecord } from '../record.ts';

const schema = v.object({ certificatePem: v.string(), keyPem: v.string(), renewAt: v.string() });
const RENEW_AFTER_MS = 300 * 24 * 3_600_000;

const making = new Map<string, Promise<AuthorityPem>>();

/** Made when it is not there, not readable or old; two who ask at once get the same. */
export async function ensureAuthority(file: string, commonName: string): Promise<AuthorityPem> {
  const under = making.get(file);
  if (under) return await under;
  const made = readOrMake(file, commonName);
  making.set(file, made);
  try {
    return await made;
  } finally {
    making.delete(file);
  }
}

async function readOrMake(file: string, commonName: string): Promise<AuthorityPem> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const kept = v.safeParse(schema, parseJson(text));
  if (kept.success && Date.parse(kept.output.renewAt) > Date.now()) {
    const { certificatePem, keyPem } = kept.output;
    return { certificatePem, keyPem };
  }
  // Loaded for the one time that it is needed.
  const { createAuthority } = await import('../../egress/tls/authority.ts');
  const authority = await createAuthority(commonName);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeJsonAtomic(file, {
    ...authority,
    renewAt: new Date(Date.now() + RENEW_AFTER_MS).toISOString(),
  });
  return authority;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Of its repository, or its own. */
export async function authorityOf(
  layout: Layout,
  { id, repository }: Pick<SandboxRecord, 'id' | 'repository'>,
): Promise<AuthorityPem> {
  return repository
    ? await ensureAuthority(projectFiles(layout, repository.root).authority, 'Warren project')
    : await ensureAuthority(doorFiles(sandboxFiles(layout, id).folder).authority, 'Warren sandbox');
}
