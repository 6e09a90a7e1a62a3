// `fetch` and `merge`: the work comes home. What the host would run by itself is listed before anyone runs it.

import type { FetchResult, RiskView } from '../../protocol/api.ts';
import { WarrenError } from '../../protocol/error.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { withClient, withProgress } from '../context.ts';
import { waitsForTrust } from '../describe-network.ts';
import { plural, printJson, say } from '../terminal.ts';

export async function fetch(name: string, flags: { json?: boolean }): Promise<void> {
  const result = await withClient((client) => withProgress((options) => client.fetch(name, options)));
  if (flags.json) {
    printJson(result);
    return;
  }
  tellFetch(result);
  say(`next: git log ${result.ref}, or: warren merge ${name}`);
}

interface MergeFlags {
  squash?: boolean;
  commit?: boolean;
  message?: string;
  allowRewritten?: boolean;
  json?: boolean;
}

export async function merge(name: string, flags: MergeFlags): Promise<number> {
  if (flags.message !== undefined && !flags.commit && !flags.squash) {
    throw new WarrenError({
      code: 'usage.message',
      message: 'cannot use -m alone: it is the message of --commit or of --squash',
      remedy: `warren merge ${name} --commit -m MESSAGE`,
    });
  }
  const request = {
    squash: flags.squash === true,
    commit: flags.commit === true,
    message: flags.message ?? null,
    allowRewritten: flags.allowRewritten === true,
  };
  const result = await withClient((client) =>
    withProgress((options) => client.merge(name, request, options)),
  );
  const { kind, commit, conflicts, into } = result.merge;
  if (flags.json) {
    printJson(result);
    return kind === 'conflicts' ? 1 : 0;
  }
  tellFetch(result.fetch);
  if (kind === 'conflicts') {
    say(`conflicts with ${into} in ${plural(conflicts.length, 'file')}:`);
    for (const path of conflicts) say(`  ${sanitizeLine(path)}`);
    say('  try: mend them, git add, git commit; or: git merge --abort');
    return 1;
  }
  const how = {
    'up-to-date': 'nothing to merge:',
    'fast-forward': 'fast-forwarded',
    merged: 'merged into',
    squashed: 'squashed onto',
  }[kind];
  say(`${how} ${into}${commit ? ` (${commit.slice(0, 12)})` : ''}`);
  const waits = result.trust && waitsForTrust({ trust: result.trust }, name);
  if (waits) say(waits);
  if (result.fetch.uncommittedTotal > 0) {
    say(
      `left in the sandbox: ${plural(result.fetch.uncommittedTotal, 'uncommitted change')}; to bring them too: warren merge ${name} --commit -m MESSAGE`,
    );
  }
  return 0;
}

function tellFetch(result: FetchResult): void {
  say(`received ${plural(result.commits, 'commit')} as ${result.ref} (${result.tip.slice(0, 12)})`);
  for (const { path, ref, commits } of result.submodules)
    say(`received ${plural(commits, 'commit')} of submodule ${sanitizeLine(path)} as ${ref}`);
  if (!result.descends) say('  notice: the sandbox rewrote its history');
  tellRisks(result.risks);
}

const SHOWN_AT_MOST = 30;

function tellRisks(risks: RiskView[]): void {
  if (risks.length === 0) return;
  say(`read these before you build, open or commit: this computer would run or obey them (${risks.length})`);
  for (const { path, why } of risks.slice(0, SHOWN_AT_MOST))
    say(`  ${sanitizeLine(path)}: ${sanitizeLine(why)}`);
  if (risks.length > SHOWN_AT_MOST) say(`  … and ${risks.length - SHOWN_AT_MOST} more (--json lists all)`);
}
