// `template ls|build|rm` and `prune`.

import { WarrenError } from '../../protocol/error.ts';
import { type BuildFlags, buildWish } from '../build-flags.ts';
import { withClient, withProgress } from '../context.ts';
import { plural, print, printJson, say } from '../terminal.ts';
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
        ? [template.id, 'damaged', template.damaged, '', '', template.usedBy.join(', ')]
        : [
            template.id,
            `${template.cpus} CPU, ${template.memoryMib} MiB, ${template.diskGib} GiB`,
            `${template.sizeMib} MiB`,
            `${(template.bootMs / 1000).toFixed(1)} s`,
            ago(template.createdAt),
            template.usedBy.join(', ') || '-',
          ],
    );
    print(table(['ID', 'SIZE', 'ON DISK', 'BOOTED IN', 'MADE', 'USED BY'], rows));
  }
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
    withProgress((options) => client.buildTemplate(request, options), flags.progress),
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

export async function prune(flags: { all?: boolean; json?: boolean }): Promise<void> {
  const result = await withClient((client) => client.prune({ all: flags.all === true }));
  if (flags.json) printJson(result);
  else {
    say(
      `removed ${plural(result.templates.length, 'template')}, ${plural(result.images.length, 'image')}, ${plural(result.layers.length, 'layer')}, ${plural(result.kernels.length, 'kernel')} and ${Math.round(result.downloadsBytes / 1024 ** 2)} MiB of downloads: ${result.freedMib} MiB`,
    );
  }
}
