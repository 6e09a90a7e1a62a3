// What is written beside commits that came home: how far the sandbox's journal and audit had come, by hash, so that
// "what did the agent do to make this" can be answered, and nobody can change the answer afterwards unseen.

import { lastAuditRecord } from '../egress/audit/read.ts';
import { copyNote, isAncestor, noteCommit, noteOf, openRepository, type Repository } from '../repo/index.ts';
import type { Conductor } from './conductor.ts';
import { digestOfFirst } from './journal.ts';
import { auditOf } from './network/audit.ts';
import { type NoteFacts, noteText, parseNote } from './note-text.ts';
import type { Sandbox } from './sandboxes.ts';

interface CameHome {
  /** Of the user's repository. */
  root: string;
  tip: string;
  /** What the sandbox had begun with. */
  base: string | null;
  /** What it had handed back before, or begun with. */
  since: string | null;
}

/**
 * What comes home again keeps what was noted first: what the sandbox did since then belongs to what comes next. A failure
 * is written into the journal and fails nothing: the commits are home.
 */
export async function writeNote(
  conductor: Conductor,
  sandbox: Sandbox,
  { root, tip, base, since }: CameHome,
): Promise<void> {
  const { name, id } = sandbox.record;
  await orJournal(conductor, sandbox, tip, async () => {
    const repository = await openRepository(root);
    // One that cannot be read is none of ours.
    const before = parseNote((await noteOf(repository, tip).catch(() => null)) ?? '');
    if (before && !(await isBefore(repository, tip, before))) return;
    const [journal, audit] = await Promise.all([
      digestOfFirst(conductor.files(sandbox).journal),
      lastAuditRecord(auditOf(conductor, sandbox)),
    ]);
    const facts = { sandbox: { name, id }, tip, since, journal, audit };
    // With a note that says it was there before, nobody would find it.
    if (await isBefore(repository, tip, facts)) facts.since = base;
    await noteCommit(repository, tip, noteText(facts));
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

/** What was there before the sandbox began came home from elsewhere, what was there at a hand-back came with that. */
export async function isBefore(
  repository: Repository,
  commit: string,
  { since }: Pick<NoteFacts, 'since'>,
): Promise<boolean> {
  return since !== null && (await isAncestor(repository, commit, since));
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
