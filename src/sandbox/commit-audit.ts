// What a sandbox did on the network to make a commit: the records of its audit since what it had handed back before, held
// against the note on the commit. Also of sandboxes that are removed, as long as their archive is kept.

import { stat } from 'node:fs/promises';
import { readAudit, verifyAudit } from '../egress/audit/read.ts';
import { archiveFiles, type Layout, sandboxFiles } from '../host/layout.ts';
import { WarrenError } from '../protocol/error.ts';
import type { CommitAudit } from '../protocol/policy.ts';
import { noteOf, notesAbout, openRepository, type Repository, resolveCommit } from '../repo/index.ts';
import type { Conductor } from './conductor.ts';
import { digestOfFirst } from './journal.ts';
import { isBefore } from './note.ts';
import { type NoteFacts, parseNote } from './note-text.ts';

export interface Question {
  /** In the user's repository. */
  path: string;
  revision: string;
  /** Only what was not let through. */
  denied: boolean;
}

/** Throws `audit.no-note` for a commit of another making, and `audit.not-kept`. */
export async function tellCommit(
  conductor: Conductor,
  { path, revision, denied }: Question,
  signal: AbortSignal,
  emit: (record: unknown) => Promise<void>,
): Promise<CommitAudit> {
  const { layout } = conductor.rooms;
  const repository = await openRepository(path);
  const commit = await resolveCommit(repository, revision);
  const { facts, noted } = await handBackOf(repository, commit);
  const { sandbox, audit } = facts;
  const kept = await keptOf(layout, sandbox);
  const after = await lastBefore(repository, facts);
  const view = { commit, noted, sandbox: { ...sandbox, removed: kept.removed } };
  const { first: oldest, broken } = await verifyAudit(kept.audit);
  let why = broken && `${broken.line === 0 ? '' : `line ${broken.line} of `}${broken.file} ${broken.why}`;
  why ??= await journalObjection(kept.journal, facts);
  if (audit === null || audit.seq <= after) return { ...view, records: null, forgotten: 0, broken: why };
  let found: string | null = null;
  for await (const record of readAudit(kept.audit)) {
    if (signal.aborted || record.seq > audit.seq) break;
    if (record.seq === audit.seq) found = record.hash;
    if (record.seq > after && (!denied || record.decision !== 'allow')) await emit(record);
  }
  const first = after + 1;
  const forgotten = Math.max(0, Math.min(oldest ?? 0, audit.seq + 1) - first);
  if (found === null && forgotten < audit.seq - after)
    why ??= `record ${audit.seq}, which the note names, is missing`;
  if (found !== null && found !== audit.hash)
    why ??= `record ${audit.seq} is not the one that the note names`;
  return { ...view, records: { first, last: audit.seq }, forgotten, broken: why };
}

async function handBackOf(
  repository: Repository,
  commit: string,
): Promise<{ facts: NoteFacts; noted: string }> {
  for await (const note of notesAbout(repository, commit)) {
    const facts = parseNote(note.text);
    // A merge has the note of what it merged, and follows commits that were made beside it.
    const isCopy = note.commit !== commit && facts?.tip !== null && facts?.tip !== note.commit;
    if (facts && !isCopy && !(await isBefore(repository, commit, facts)))
      return { facts, noted: note.commit };
  }
  throw new WarrenError({
    code: 'audit.no-note',
    message: `nothing tells that commit ${commit.slice(0, 12)} came home from a sandbox`,
    remedy: 'those that did have a note: git log --notes=warren',
  });
}

/** Number of the record that had been the newest at the hand-back before. */
async function lastBefore(repository: Repository, { since, sandbox }: NoteFacts): Promise<number> {
  if (since === null) return 0;
  const before = parseNote((await noteOf(repository, since)) ?? '');
  return before?.sandbox.id === sandbox.id ? (before.audit?.seq ?? 0) : 0;
}

async function keptOf(layout: Layout, { id, name }: NoteFacts['sandbox']) {
  const { folder, journal, door } = sandboxFiles(layout, id);
  if (await stat(folder).catch(() => null)) return { removed: false, journal, audit: door.audit };
  const archived = archiveFiles(layout, id);
  if (await stat(archived.folder).catch(() => null)) return { removed: true, ...archived };
  throw new WarrenError({
    code: 'audit.not-kept',
    message: `it came home from sandbox "${name}" (${id}), whose audit is not kept here`,
    remedy: 'it is where the sandbox was; warren prune removes those of removed sandboxes after 30 days',
  });
}

async function journalObjection(file: string, { journal }: NoteFacts): Promise<string | null> {
  const now = await digestOfFirst(file, journal.bytes).catch(() => null);
  if (now === null) return `${file} cannot be read`;
  return now.hash === journal.hash ? null : `${file} was changed since the commit came home`;
}
