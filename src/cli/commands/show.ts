// `show`, `logs`, `journal`: reading one sandbox.

import type { SetupView } from '../../protocol/api.ts';
import { sanitize, sanitizeLine } from '../../protocol/sanitize.ts';
import { withClient } from '../context.ts';
import { print, printJson } from '../terminal.ts';
import { ago } from '../time.ts';

export async function show(name: string, flags: { json?: boolean }): Promise<void> {
  const sandbox = await withClient((client) => client.show(name));
  if (flags.json) {
    printJson(sandbox);
    return;
  }
  const { repository, machine, handback } = sandbox;
  const rows: [string, string][] = [
    ['name', sandbox.name],
    ['state', sandbox.note ? `${sandbox.state}: ${sandbox.note}` : sandbox.state],
    ['made', `${sandbox.createdAt} (${ago(sandbox.createdAt)})`],
    ...(repository
      ? ([
          ['repository', repository.root],
          ['in the guest', `${repository.guestPath} on branch ${repository.branch}`],
          ['started from', repository.base ?? 'no commit'],
          [
            'handed back',
            handback ? `${handback.tip} as ${handback.ref} (${ago(handback.at)})` : 'nothing yet',
          ],
        ] as [string, string][])
      : []),
    [
      'size',
      `${sandbox.cpus} CPU, ${sandbox.memoryMib} MiB memory, ${sandbox.diskGib} GiB disk (${sandbox.diskUsedMib} MiB used)`,
    ],
    ...(sandbox.setup ? [describeSetup(sandbox.setup)] : []),
    ['template', sandbox.template],
    ['folder', sandbox.folder],
    ...(machine
      ? ([
          ['machine', `pid ${machine.pid}, ${machine.vmm}, ${machine.accelerator}`],
          [
            'uses',
            `${machine.privateMib} MiB private, ${machine.proportionalMib} MiB with its share, ${machine.cpuSeconds.toFixed(1)} s CPU`,
          ],
          ...machine.confinement.map((line): [string, string] => ['confined', line]),
        ] as [string, string][])
      : []),
  ];
  for (const [key, value] of rows) print(`${`${key}:`.padEnd(14)} ${sanitizeLine(value)}`);
}

function describeSetup({ state, step, why }: SetupView): [string, string] {
  return ['lifecycle', `${step}: ${state}${why === null ? '' : `: ${why}`}`];
}

export async function logs(name: string, flags: { json?: boolean; lifecycle?: boolean }): Promise<void> {
  const text = await withClient((client) =>
    flags.lifecycle ? client.lifecycleLog(name) : client.console(name),
  );
  if (flags.json) printJson(flags.lifecycle ? { lifecycle: text } : { console: text });
  else if (text) print(process.stdout.isTTY ? sanitize(text.replaceAll('\r\n', '\n')) : text);
}

export async function journal(name: string, flags: { json?: boolean }): Promise<void> {
  const records = await withClient((client) => client.journal(name));
  if (flags.json) {
    printJson(records);
    return;
  }
  for (const { time, event, ...facts } of records) {
    const said = Object.entries(facts).map(
      ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
    print(sanitizeLine([time, event, ...said].join('  ')));
  }
}
