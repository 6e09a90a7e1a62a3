// Whether anybody still reads the pipe that we write to. The kernel tells that to poll(2), which Node does not offer, and
// to a write, for which there may be nothing to say for hours. So /proc is asked who reads it, and then, now and then,
// whether they still do. Readers that cannot be seen (another user's) are taken to stay, so who is to be noticed must be
// there at the first look: take it before you write what may be all that they want.

import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_EVERY_MS = 250;

/**
 * Calls `gone` once all who read `fd` have gone, unless `signal` is aborted before; never when it is no pipe. Resolves
 * once it is seen who reads it.
 */
export async function whenReadersGo(fd: number, signal: AbortSignal, gone: () => void): Promise<void> {
  const pipe = await readlink(`/proc/self/fd/${fd}`).catch(() => '');
  const readers = pipe.startsWith('pipe:') ? await readersOf(pipe) : [];
  if (readers.length > 0) void watch(pipe, readers, signal).then(() => signal.aborted || gone());
}

async function watch(pipe: string, readers: string[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted && readers.length > 0) {
    await sleep(LOOK_EVERY_MS, undefined, { signal, ref: false }).catch(() => {});
    const now = await Promise.all(readers.map((end) => readlink(end).catch(() => '')));
    // They may have handed it to another: a shell's child, for one.
    if (now.every((each) => each !== pipe)) readers = await readersOf(pipe);
  }
}

/** As `/proc/PID/fd/N`. */
async function readersOf(pipe: string): Promise<string[]> {
  const readers: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const nr of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const end = `/proc/${pid}/fd/${nr}`;
      if ((await readlink(end).catch(() => '')) !== pipe) continue;
      const info = await readFile(`/proc/${pid}/fdinfo/${nr}`, 'latin1').catch(() => '');
      // Octal, in its last two bits: 0 reads, 1 writes, 2 does both.
      if (/^flags:\s*\d*[0246]$/m.test(info)) readers.push(end);
    }
  }
  return readers;
}
