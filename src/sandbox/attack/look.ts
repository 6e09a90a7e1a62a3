// What the host sees of a VMM under attack: /proc of it, its memory, the files that it must not have changed.

import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Template } from '../../machine/template.ts';
import type { VmmSight } from './sights.ts';

const SPACES = ['net', 'mnt', 'pid', 'ipc', 'uts'];
const CHUNK_BYTES = 16 * 1024 * 1024;

export function lookAtVmm(pid: number, boxed: boolean): VmmSight {
  const nothing: VmmSight = {
    alive: false,
    blind: 'the VMM has ended',
    boxed,
    networkArgs: [],
    ownSpaces: false,
    devices: [],
    capabilities: '',
    noNewPrivileges: false,
    seccompFilter: false,
    isRoot: false,
    visible: [],
  };
  try {
    const status = statusOf(pid);
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return {
      alive: true,
      blind: null,
      boxed,
      networkArgs: args.filter((arg) => /netdev|virtio-net|vhost|e1000|rtl8139|slirp/.test(arg)),
      ownSpaces: SPACES.every(
        (space) => readlinkSync(`/proc/${pid}/ns/${space}`) !== readlinkSync(`/proc/self/ns/${space}`),
      ),
      devices: devicesOf(pid),
      capabilities: `${status.get('CapEff')}${status.get('CapPrm')}`,
      noNewPrivileges: status.get('NoNewPrivs') === '1',
      seccompFilter: status.get('Seccomp') === '2',
      isRoot: /^0\t|\t0\t/.test(`${status.get('Uid')}\t`),
      visible: readdirSync(`/proc/${pid}/root`).sort(),
    };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return {
      ...nothing,
      ...(code === 'ENOENT' ? {} : { alive: true, blind: `it may not be looked at: ${code}` }),
    };
  }
}

function statusOf(pid: number): Map<string, string> {
  const lines = readFileSync(`/proc/${pid}/status`, 'utf8').split('\n');
  return new Map(lines.map((line) => line.split(':\t', 2) as [string, string]));
}

/** `lo 0 0`: packets received and sent (proc_net_dev). */
function devicesOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/net/dev`, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, device, numbers] = /^\s*(\S+):\s*(.*)$/.exec(line) ?? [];
      const fields = numbers?.split(/\s+/) ?? [];
      return device ? [`${device} ${fields[1]} ${fields[9]}`] : [];
    });
}

/** How many pieces of a process's memory hold each text; null when it may not be read. */
export async function searchMemory(
  pid: number,
  texts: readonly string[],
  signal: AbortSignal,
): Promise<number[] | null> {
  const memory = await open(`/proc/${pid}/mem`, 'r').catch(() => null);
  if (!memory) return null;
  try {
    const counts = texts.map(() => 0);
    const overlap = Math.max(...texts.map(({ length }) => length)) - 1;
    const chunk = Buffer.alloc(CHUNK_BYTES + overlap);
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const [, from, to] = /^([0-9a-f]{1,12})-([0-9a-f]{1,12}) r/.exec(line) ?? [];
      const end = Number.parseInt(to ?? '0', 16);
      for (let at = Number.parseInt(from ?? '0', 16); at < end; at += CHUNK_BYTES) {
        signal.throwIfAborted();
        const read = await memory.read(chunk, 0, Math.min(chunk.length, end - at), at).catch(() => null);
        if (!read) break; // a device's
        texts.forEach((text, nr) => {
          if (chunk.subarray(0, read.bytesRead).includes(text)) counts[nr]! += 1;
        });
      }
    }
    return counts;
  } finally {
    await memory.close();
  }
}

/** Of the image's layers their content, of the large files of the template what changes with each write. */
export async function templateDigest(
  { files, record }: Template,
  signal: AbortSignal,
): Promise<string | null> {
  const hash = createHash('sha256');
  try {
    for (const file of [files.memory, files.device, files.disk, files.overlay]) {
      const { size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
      hash.update(`${file} ${size} ${mtimeNs} ${ctimeNs}\n`);
    }
    for (const layer of record.layers.flat())
      await pipeline(createReadStream(layer), hash, { end: false, signal });
    return hash.digest('hex');
  } catch {
    signal.throwIfAborted();
    return null;
  }
}
