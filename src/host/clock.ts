// The frequency of this CPU's time stamp counter. A guest under emulation reads the host's counter, and its
// kernel sometimes fails to measure it on a busy host and then hangs: so it is told.

import { readFile } from 'node:fs/promises';

/** In kHz; undefined where the kernel does not say (then the guest measures). */
export async function timeStampCounterKhz(): Promise<number | undefined> {
  return parseCpuinfo(await readFile('/proc/cpuinfo', 'utf8').catch(() => ''));
}

/** Pure. Linux computes BogoMIPS from the counter itself on x86 (calibrate_delay): twice its MHz. */
export function parseCpuinfo(text: string): number | undefined {
  if (!/^flags\s*:.*\bconstant_tsc\b/m.test(text)) return undefined;
  const bogomips = Number(/^bogomips\s*:\s*([\d.]+)/m.exec(text)?.[1]);
  return bogomips > 0 ? Math.round(bogomips * 500) : undefined;
}
