// Processes of this computer by identity: a pid alone is reused, a pid with its start time is not.

import { readFileSync } from 'node:fs';

export interface ProcessId {
  pid: number;
  /** Clock ticks after boot at which it started: field 22 of /proc/PID/stat (proc(5)). */
  startTicks: number;
}

export function identify(pid: number): ProcessId | undefined {
  const stat = readStat(pid);
  return stat && stat.state !== 'Z' ? { pid, startTicks: stat.startTicks } : undefined;
}

export function isAlive(process: ProcessId): boolean {
  return identify(process.pid)?.startTicks === process.startTicks;
}

/** Sends a signal if that very process is still there. */
export function signalProcess(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false;
  try {
    return process.kill(id.pid, signal);
  } catch {
    return false;
  }
}

/** Resolves once the process is gone; polls, since only a parent is told. */
export async function whenGone(id: ProcessId, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isAlive(id)) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return true;
}

export interface ProcessUse {
  /** Memory that it alone has and nothing else could give back (Private_Dirty), in MiB. */
  privateMib: number;
  /** Its share of all memory it maps, in MiB. */
  proportionalMib: number;
  /** CPU seconds used so far, user and system. */
  cpuSeconds: number;
}

/** What a process uses now, from /proc/PID/smaps_rollup and /proc/PID/stat; undefined when it is gone. */
export function processUse(pid: number): ProcessUse | undefined {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0);
    const stat = readStat(pid);
    return {
      privateMib: kib('Private_Dirty') / 1024,
      proportionalMib: kib('Pss') / 1024,
      cpuSeconds: (stat?.cpuTicks ?? 0) / 100,
    };
  } catch {
    return undefined;
  }
}

function readStat(pid: number): { state: string; startTicks: number; cpuTicks: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return {
      state: fields[0] ?? '?',
      cpuTicks: Number(fields[11]) + Number(fields[12]),
      startTicks: Number(fields[19]),
    };
  } catch {
    return undefined;
  }
}
