// What is written beside commits that came home: how far the sandbox's journal and audit had come, by hash, so that
// "what did the agent do to make this" can be answered, and nobody can change the answer afterwards unseen.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lastAuditRecord } from '../egress/audit/read.ts';
import { noteCommit, openRepository } from '../repo/index.ts';
import type { Conductor } from './conductor.ts';
import { auditOf } from './network/audit.ts';
import type { Sandbox } from './sandboxes.ts';

/** Its failure is written into the journal and fails nothing: the commits are home. */
export async function writeNote(
  conductor: Conductor,
  sandbox: Sandbox,
  root: string,
  tip: string,
): Promise<void> {
  try {
    const [journal, audit] = await Promise.all([
      digestOf(conductor.files(sandbox).journal),
      lastAuditRecord(auditOf(conductor, sandbox)),
    ]);
    const lines = [
      `Warren-Sandbox: ${sandbox.record.name} ${sandbox.record.id}`,
      `Warren-Journal: sha256:${journal.hash} of the first ${journal.bytes} bytes`,
      `Warren-Audit: ${audit ? `sha256:${audit.hash} of record ${audit.seq}` : 'no record'}`,
    ];
    await noteCommit(await openRepository(root), tip, `${lines.join('\n')}\n`);
  } catch (error) {
    await conductor.journal(sandbox, 'note-failed', { tip, why: (error as Error).message });
  }
}

async function digestOf(file: string): Promise<{ hash: string; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { hash: hash.digest('hex'), bytes };
}
