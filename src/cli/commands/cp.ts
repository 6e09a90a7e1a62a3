// `warren cp`: files into or out of a sandbox, as a tar stream through the agent. Copying out writes only into a
// new place (see host/unpack.ts): what arrives was made by a guest.

import { stat } from 'node:fs/promises';
import { basename, join, posix, resolve } from 'node:path';
import { copyIn, copyOut } from '../../client/files.ts';
import { WarrenError } from '../../protocol/error.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { withClient } from '../context.ts';
import { plural, say } from '../terminal.ts';

interface Side {
  sandbox: string | null;
  path: string;
}

export async function cp(source: string, destination: string, flags: { user?: string }): Promise<void> {
  const from = parseSide(source);
  const to = parseSide(destination);
  if ((from.sandbox === null) === (to.sandbox === null)) {
    throw new WarrenError({
      code: 'usage.cp',
      message: 'cannot copy: exactly one side must be in a sandbox',
      remedy: 'warren cp NAME:PATH DESTINATION, or: warren cp SOURCE NAME:PATH',
    });
  }
  await withClient(async (client) => {
    if (from.sandbox !== null) {
      const { user, workdir } = await client.show(from.sandbox);
      const path = posix.resolve(workdir, from.path);
      const target = await outTarget(to.path, path);
      const report = await copyOut(client.transport, from.sandbox, {
        path,
        user: flags.user ?? user,
        target,
      });
      say(`copied ${plural(report.files, 'file')} (${report.bytes} bytes) to ${target}`);
      for (const skipped of report.skipped.slice(0, 20))
        say(`  left out: ${sanitizeLine(skipped.path)}: ${skipped.why}`);
      if (report.skipped.length > 20) say(`  … and ${report.skipped.length - 20} more`);
    } else {
      const { user, workdir } = await client.show(to.sandbox!);
      const report = await copyIn(client.transport, to.sandbox!, {
        source: resolve(from.path),
        path: posix.resolve(workdir, to.path || '.'),
        intoFolder: to.path === '' || to.path.endsWith('/'),
        user: flags.user ?? user,
      });
      say(`copied ${plural(report.entries, 'entry', 'entries')} to ${to.sandbox}:${report.path}`);
    }
  });
}

/** `NAME:PATH` or a path of the host. `./a:b` is a path. */
export function parseSide(text: string): Side {
  const match = /^([a-z0-9][a-z0-9-]*):(.*)$/s.exec(text);
  return match ? { sandbox: match[1]!, path: match[2]! } : { sandbox: null, path: text };
}

/** A folder that is there gets the copy inside; anything else must not exist yet. */
async function outTarget(destination: string, source: string): Promise<string> {
  const target = resolve(destination || '.');
  const found = await stat(target).catch(() => undefined);
  if (found?.isDirectory()) return join(target, basename(source) || 'root');
  return target;
}
