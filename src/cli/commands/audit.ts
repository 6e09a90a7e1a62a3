// `warren audit`, `audit commit`, `audit verify`.

import { readAudit, readCommitAudit, verifyAudit } from '../../client/policy.ts';
import { whenReadersGo } from '../../host/pipe-readers.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { AuditRecordView, CommitAudit } from '../../protocol/policy.ts';
import { shownJson } from '../../protocol/sanitize.ts';
import { AuditLines } from '../audit-line.ts';
import { withClient } from '../context.ts';
import { dim, plural, print, printJson, say } from '../terminal.ts';

/** A request and the flow around it: its end and the flow's count. */
const RECORDS_PER_LINE = 4;
const MOST_RECORDS = 4_000_000;
/** 128 and SIGINT. */
const INTERRUPTED = 130;

interface AuditFlags {
  follow?: boolean;
  json?: boolean;
  denied?: boolean;
  tail?: number;
}

/** With `--json`, a record a line: an audit has no end that a list could wait for. */
export async function audit(name: string, flags: AuditFlags): Promise<void> {
  const { tail = null } = flags;
  if (tail === 0)
    throw new WarrenError({
      code: 'usage.tail',
      message: 'cannot show the newest 0 records',
      remedy: `warren audit ${name} --tail 20`,
    });
  const lines = new AuditLines();
  let shown = 0;
  // Some records are no line: the last lines are in more of the newest records.
  const byLine = tail !== null && !flags.json && !flags.follow;
  const held: string[] = [];
  const tell = (record: AuditRecordView) => {
    const line = flags.json ? shownJson(record) : lines.line(record);
    if (line === null) return;
    shown++;
    if (!byLine) return print(line);
    held.push(line);
    if (held.length > tail) held.shift();
  };
  const leave = abortedBySignals();
  // `| head -1` has what it wants, and the next record may take hours.
  if (flags.follow) await whenReadersGo(1, leave.signal, () => leave.abort());
  const options = {
    follow: flags.follow === true,
    denied: flags.denied === true,
    tail: tail === null ? null : Math.min(byLine ? tail * RECORDS_PER_LINE : tail, MOST_RECORDS),
    signal: leave.signal,
  };
  try {
    await withClient((client) => readAudit(client.transport, name, options, tell));
  } catch (error) {
    if (!leave.signal.aborted) throw error;
  } finally {
    for (const line of held) print(line);
  }
  if (shown === 0 && !flags.json)
    say(dim(flags.denied ? 'nothing was denied' : 'nothing has wanted out yet'));
}

function abortedBySignals(): AbortController {
  const leave = new AbortController();
  const onSignal = () => leave.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  return leave;
}

/** With `--json`, a record a line, and after them what is known of the commit. */
export async function commit(revision: string, flags: { json?: boolean; denied?: boolean }): Promise<number> {
  const lines = new AuditLines();
  const tell = (record: AuditRecordView) => {
    const line = flags.json ? shownJson(record) : lines.line(record);
    if (line !== null) print(line);
  };
  const leave = abortedBySignals();
  const question = { path: process.cwd(), revision, denied: flags.denied === true };
  const found = await withClient((client) =>
    readCommitAudit(client.transport, question, leave.signal, tell),
  ).catch((error: unknown) => {
    if (leave.signal.aborted) return null;
    throw error;
  });
  if (found === null) return INTERRUPTED;
  if (flags.json) print(shownJson({ kind: 'commit', ...found }));
  else say(cameHome(found));
  return found.broken === null ? 0 : 1;
}

function cameHome({ commit, noted, sandbox, records, forgotten, broken }: CommitAudit): string {
  const how = commit === noted ? '' : ` with ${noted.slice(0, 12)}`;
  const from = `sandbox "${sandbox.name}"${sandbox.removed ? ' (removed since)' : ` (${sandbox.id})`}`;
  const what =
    records === null ? 'which wanted nothing out for it' : `records ${records.first} to ${records.last}`;
  const lost = forgotten === 0 ? '' : `; ${plural(forgotten, 'record')} of them not kept any more`;
  return `${commit.slice(0, 12)} came home${how} from ${from}, ${what}${lost}${broken === null ? ': whole' : `\nNOT whole: ${broken}`}`;
}

function forgotten(first: number | null): string {
  return first === null || first === 1 ? '' : `\n  those before number ${first} are not kept any more`;
}

export async function verify(name: string, flags: { json?: boolean }): Promise<number> {
  const verdict = await withClient((client) => verifyAudit(client.transport, name));
  const { records, first, head, broken } = verdict;
  if (flags.json) printJson(verdict);
  else if (broken)
    say(`NOT whole: ${broken.line === 0 ? '' : `line ${broken.line} of `}${broken.file} ${broken.why}`);
  else
    print(
      head
        ? `whole: ${plural(records, 'record')} from number ${first} to ${head.seq}, head ${head.hash}${forgotten(first)}`
        : 'whole: no record yet',
    );
  return broken ? 1 : 0;
}
