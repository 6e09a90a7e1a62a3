// What is written beside commits that came home: how far the sandbox's journal and audit had come, by hash, so that
// "what did the agent do to make this" can be answered, and nobody can change the answer afterwards unseen.

import { lastAuditRecord } from '../egress/audit/read.ts';
import { copyNote, noteCommit, openRepository } from '../repo/index.ts';
import type { Conductor } from './conductor.ts';
import { digestOfFirst } from './journal.ts';
import { auditOf } from './network/audit.ts';
import { noteText } from './note-text.ts';
import type { Sandbox } from './sandboxes.ts';

interface CameHome {
  /** Of the user's repository. */
  root: string;
  tip: string;
  /** What the sandbox had begun with, or had handed back before. */
  since: string | null;
}

/** Its failure is written into the journal and fails nothing: the commits are home. */
export async function writeNote(
  conductor: Conductor,
  sandbox: Sandbox,
  { root, tip, since }: CameHome,
): Promise<void> {
  const { name, id } = sandbox.record;
  await orJournal(conductor, sandbox, tip, async () => {
    const [journal, audit] = await Promise.all([
      digestOfFirst(conductor.files(sandbox).journal),
      lastAuditRecord(auditOf(conductor, sandbox)),
    ]);
    const text = noteText({ sandbox: { name, id }, since, journal, audit });
    await noteCommit(await openRepository(root), tip, text);
  });
}

/** The commit that a merge made is of the same work. */
export async function noteMerge(
  conductor: Conductor,
  sandbox: Sandbox,
  { root, tip, commit }: { root: string; tip: string; commit: string },
): Promise<void> {
  await orJournal(conductor, sandbox, commit, async () => copyNote(await openRepository(root), tip, commit));
}

async function orJournal(
  conductor: Conductor,
  sandbox: Sandbox,
  tip: string,
  write: () => Promise<void>,
): Promise<void> {
  try {
    await write();
  } catch (error) {
    await conductor.journal(sandbox, 'note-failed', { tip, why: (error as Error).message });
  }
}
