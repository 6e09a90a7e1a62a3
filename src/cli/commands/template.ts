// `template ls|show|build|rm`.

import { resolve } from 'node:path';
import { WarrenError } from '../../protocol/error.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { type BuildFlags, buildWish } from '../build-flags.ts';
import { withClient, withProgress } from '../context.ts';
import { print, printJson, say } from '../terminal.ts';
import { ago } from '../time.ts';
import { table } from './ls.ts';
import { type SizeFlags, sizeRequest } from './up.ts';

export async function ls(flags: { json?: boolean }): Promise<void> {
  const templates = await withClient((client) => client.templates());
  if (flags.json) printJson(templates);
  else if (templates.length === 0) say('no templates; the first `warren up` builds one');
  else {
    const rows = templates.map((template) =>
      template.damaged
        ? [template.id, 'damaged', template.damaged, '', '', template.usedBy.join(', '), '']
        : [
            template.id,
            `${template.cpus} CPU, ${template.memoryMib} MiB, ${template.diskGib} GiB`,
            `${template.sizeMib} MiB`,
            `${(template.bootMs / 1000).toFixed(1)} s`,
            ago(template.createdAt),
            template.usedBy.join(', ') || '-',
            template.preparedFor === null ? '-' : sanitizeLine(template.preparedFor),
          ],
    );
    print(table(['ID', 'SIZE', 'ON DISK', 'BOOTED IN', 'MADE', 'USED BY', 'PREPARED FOR'], rows));
  }
}

export async function show(name: string, flags: { json?: boolean }): Promise<void> {
  // The daemon does not know where we stand.
  const wanted = /^[./]/.test(name) ? resolve(name) : name;
  const template = await withClient((client) => client.template(wanted));
  if (flags.json) {
    printJson(template);
    return;
  }
  const { cpus, memoryMib, diskGib, prepared, settings, key } = template;
  const sized = (files: { file: string; bytes: number; shared?: boolean }[]) =>
    files.map(({ file, bytes, shared }) => `${mib(bytes).padStart(9)}  ${file}${shared ? ' (shared)' : ''}`);
  const rows: [string, string][] = [
    ['id', template.id],
    ['made', `${template.createdAt} (${ago(template.createdAt)}), in ${seconds(template.buildMs)}`],
    ['last used', `${template.usedAt} (${ago(template.usedAt)})`],
    ['used by', template.usedBy.join(', ') || 'no sandbox'],
    ['size', `${cpus} CPU, ${memoryMib} MiB memory, ${diskGib} GiB disk`],
    ['booted in', seconds(template.bootMs)],
    ['image', template.image],
    ['made from', template.from ?? 'not known'],
    ...template.names.map((each): [string, string] => ['named', each]),
    ...(settings ? [['runs as', `${settings.user} in ${settings.workdir}`] as [string, string]] : []),
    ...(prepared
      ? ([
          ['prepared', `${prepared.root}${prepared.head ? ` at ${prepared.head.slice(0, 12)}` : ''}`],
          ...prepared.commands.map((each) => ['', each]),
        ] as [string, string][])
      : []),
    ...Object.entries(key).map(([name, value], nr): [string, string] => [
      nr === 0 ? 'key' : '',
      `${name}: ${value}`,
    ]),
    ...sized(template.layers).map((each, nr): [string, string] => [nr === 0 ? 'layers' : '', each]),
    ...sized(template.files).map((each, nr): [string, string] => [nr === 0 ? 'its files' : '', each]),
  ];
  for (const [name, value] of rows)
    print(`${(name === '' ? '' : `${name}:`).padEnd(11)} ${sanitizeLine(value)}`);
}

function mib(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(bytes < 10 * 1024 ** 2 ? 1 : 0)} MiB`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export async function build(
  flags: SizeFlags & BuildFlags & { pull?: boolean; json?: boolean },
): Promise<void> {
  const request = {
    ...sizeRequest(flags),
    path: process.cwd(),
    build: buildWish(flags),
    pull: flags.pull === true,
  };
  const result = await withClient((client) =>
    withProgress((options) => client.buildTemplate(request, options), flags.progress, client),
  );
  if (flags.json) printJson(result);
  else say(`template ${result.id} is ready`);
}

export async function rm(ids: string[], flags: { all?: boolean }): Promise<void> {
  await withClient(async (client) => {
    const wanted = flags.all
      ? (await client.templates()).filter(({ usedBy }) => usedBy.length === 0).map(({ id }) => id)
      : ids;
    if (wanted.length === 0 && !flags.all) {
      throw new WarrenError({
        code: 'usage.template',
        message: 'cannot remove a template: none is named',
        remedy: 'warren template ls, or: warren template rm --all',
      });
    }
    for (const id of wanted) {
      await client.removeTemplate(id);
      say(`removed template ${id}`);
    }
  });
}
