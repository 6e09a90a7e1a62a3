// Which port stable names have: the user's, else the one of last time, else 7070, else a free one that is kept.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkPorts } from '../forward/plain.ts';
import { writeJsonAtomic } from '../host/atomic-file.ts';
import { type Layout, namesPortFile } from '../host/layout.ts';
import { readSettings } from './settings.ts';

const DEFAULT_PORT = 7070;

/** `open` takes 0 for a free port. Throws with why there are no stable names, `usage.settings`, `usage.port`. */
export async function openAtNamesPort<T extends { port: number }>(
  layout: Layout,
  open: (port: number) => Promise<T>,
): Promise<T> {
  const { namesPort: wanted } = await readSettings(join(layout.config, 'config.json'));
  if (wanted === 0) throw new Error('"namesPort" in config.json is 0');
  if (wanted !== undefined) {
    checkPorts({ port: wanted, hostPort: wanted });
    return await open(wanted).catch((error: Error) => {
      throw new Error(`"namesPort" ${wanted} in config.json cannot be had: ${error.message}`);
    });
  }
  const file = namesPortFile(layout);
  const text = await readFile(file, 'utf8').catch(() => '');
  const remembered = Number(/^\d{4,5}$/.exec(text.trim())?.[0] ?? DEFAULT_PORT);
  const opened = await open(remembered).catch(() => open(0));
  if (opened.port !== remembered) await writeJsonAtomic(file, opened.port);
  return opened;
}
