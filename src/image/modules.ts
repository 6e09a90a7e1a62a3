// Which kernel modules the agent needs to mount a disk and redirect traffic, and in which order they load. The order
// comes from the modules themselves: each names what it depends on in its `.modinfo` section (`depends=a,b`).

import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { run } from '../host/run.ts';
import { WarrenError } from '../protocol/error.ts';

/** By the names that `depends=` uses. What is built into the kernel is left out. */
export const NEEDED_MODULES = [
  ...['virtio_pci', 'virtio_blk', 'virtio_console', 'ext4', 'erofs', 'overlay'],
  // What the agent's redirect uses (agent/internal/egress/redirect.go), and no more.
  ...['nf_tables', 'nft_chain_nat', 'nft_redir', 'nft_reject_ipv4', 'nft_fib_ipv4'],
];

export interface Module {
  name: string;
  content: Buffer;
}

/** Decompressed, in load order. `folder` is the kernel's `lib/modules/VERSION`. */
export async function collectModules(
  folder: string,
  needed: readonly string[] = NEEDED_MODULES,
): Promise<Module[]> {
  const builtin = new Set(
    (await readFile(join(folder, 'modules.builtin'), 'utf8')).split('\n').map(moduleName),
  );
  const files = new Map<string, string>();
  for (const file of await readdir(join(folder, 'kernel'), { recursive: true })) {
    if (/\.ko(\.xz)?$/.test(file)) files.set(moduleName(file), join(folder, 'kernel', file));
  }
  const loaded = new Map<string, Module>();
  const load = async (name: string) => {
    if (loaded.has(name) || builtin.has(name)) return;
    const file = files.get(name);
    if (!file)
      throw new WarrenError({
        code: 'image.no-module',
        message: `the kernel in ${folder} has no module ${name}`,
      });
    const content = file.endsWith('.xz') ? (await run('xz', ['-dc', file])).stdout : await readFile(file);
    for (const dependency of parseDepends(content)) await load(dependency);
    loaded.set(name, { name, content });
  };
  for (const name of needed) await load(name);
  return [...loaded.values()];
}

/** Pure: `depends=` of a decompressed module. */
export function parseDepends(module: Buffer): string[] {
  const key = Buffer.from('\0depends=', 'latin1');
  const at = module.indexOf(key);
  if (at < 0) return [];
  const start = at + key.length;
  const text = module.toString('latin1', start, module.indexOf(0, start));
  return text
    .split(',')
    .filter(Boolean)
    .map((name) => name.replaceAll('-', '_'));
}

/** `kernel/fs/ext4/ext4.ko.xz` → `ext4`; hyphens and underscores are the same in module names. */
function moduleName(file: string): string {
  return basename(file)
    .replace(/\.ko(\.xz)?$/, '')
    .replaceAll('-', '_');
}
