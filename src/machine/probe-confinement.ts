// Finds out, by doing it, which confinement this computer allows. `bwrap` may be installed and refused.

import { stat } from 'node:fs/promises';
import { run } from '../host/run.ts';
import type { Confinement } from './confine.ts';

const UID_RANGE = { first: 61_184, count: 4_336 };

/** For a Warren that runs as root: the uid of a machine, out of the range that systemd gives to such users. */
export function machineUid(id: string): number | undefined {
  if (process.getuid?.() !== 0) return undefined;
  let hash = 0;
  for (const char of id) hash = (hash * 31 + char.charCodeAt(0)) >>> 0;
  return UID_RANGE.first + (hash % UID_RANGE.count);
}

/** The group that an ordinary user is in who may use KVM; undefined when the device is not shared by a group. */
export async function kvmGroup(): Promise<number | undefined> {
  const device = await stat('/dev/kvm').catch(() => undefined);
  const shared = device && device.gid !== 0 && (device.mode & 0o060) === 0o060;
  return shared ? device.gid : undefined;
}

export async function probeConfinement(): Promise<Confinement> {
  const root = process.getuid?.() === 0;
  const [namespaces, setpriv, prlimit] = await Promise.all([
    tryRun('bwrap', [
      ...(root ? ['--unshare-ipc', '--unshare-pid', '--unshare-net', '--unshare-uts'] : ['--unshare-all']),
      ...['--as-pid-1', '--cap-drop', 'ALL', '--ro-bind', '/usr', '/usr', '--symlink', 'usr/lib', '/lib'],
      ...['--symlink', 'usr/lib64', '/lib64', '--dev', '/dev', '--remount-ro', '/', '--', '/usr/bin/true'],
    ]),
    root ? tryRun('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', '--', 'true']) : undefined,
    tryRun('prlimit', ['--core=0', '--', 'true']),
  ]);
  return {
    namespaces: namespaces === undefined,
    ...(namespaces !== undefined && { why: namespaces }),
    ordinaryUser: !root || setpriv === undefined,
    limits: prlimit === undefined,
  };
}

/** undefined: it works; else why it does not. */
async function tryRun(file: string, args: string[]): Promise<string | undefined> {
  try {
    await run(file, args, { timeoutMs: 5_000 });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
