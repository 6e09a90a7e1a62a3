// Puts a VMM into a box of its own before it sees a byte of the guest: no network, no capabilities, its own
// namespaces, and of the file system only what its plan names. Pure; `probeConfinement` says what this computer
// allows, and nothing here degrades without being told by that verdict.

import { basename, dirname, isAbsolute, join } from 'node:path';
import type { Plan } from './driver.ts';

/** What holds around a VMM here; printed by `show` and `doctor`. */
export interface Confinement {
  /** bwrap: its own mount, network, pid, ipc and uts namespaces, and no capabilities. */
  namespaces: boolean;
  /** Why not, when not. */
  why?: string;
  /** An ordinary user, also when Warren itself runs as root. */
  ordinaryUser: boolean;
  /** Resource limits (core, files, file size) by prlimit. */
  limits: boolean;
}

export interface Command {
  file: string;
  args: string[];
  /** A descriptor on which bwrap tells the pid of the VMM, if there is one. */
  infoFd?: number;
}

export interface BoxOptions {
  confinement: Confinement;
  /** The uid and gid that a VMM of a root-owned Warren gets; undefined: the user's own. */
  uid?: number;
  /** With `uid`: the group that may open the devices of a plan. */
  deviceGroup?: number;
}

const OPEN_FILES_MAX = 1024;
const INFO_FD = 3;
/** Where the box shows the machine's files; constants, so that no path of the user is an option's part. */
const INSIDE = '/warren';

export function confine(plan: Plan, { confinement, uid, deviceGroup }: BoxOptions): Command {
  const limits = confinement.limits
    ? ['prlimit', '--core=0', `--nofile=${OPEN_FILES_MAX}`, ...fileSizeLimit(plan), '--']
    : [];
  const asUser =
    uid === undefined
      ? []
      : [
          'setpriv',
          `--reuid=${uid}`,
          `--regid=${uid}`,
          deviceGroup !== undefined && plan.devices.length > 0 ? `--groups=${deviceGroup}` : '--clear-groups',
          '--inh-caps=-all',
          '--bounding-set=-all',
          '--no-new-privs',
        ];
  if (!confinement.namespaces) {
    const [file, ...args] = [...limits, ...asUser, plan.binary, ...plan.args((path) => path)];
    return { file: file!, args };
  }
  const inside = insidePaths(plan);
  const [file, ...args] = [
    ...limits,
    'bwrap',
    ...(uid === undefined
      ? ['--unshare-all']
      : ['--unshare-ipc', '--unshare-pid', '--unshare-net', '--unshare-uts', '--unshare-cgroup-try']),
    ...['--new-session', '--clearenv', '--as-pid-1', '--hostname', 'warren', '--info-fd', String(INFO_FD)],
    ...['--cap-drop', 'ALL'],
    ...(uid === undefined
      ? []
      : ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP'].flatMap((cap) => ['--cap-add', cap])),
    ...['--setenv', 'PATH', '/usr/bin:/bin'],
    ...[
      '--ro-bind',
      '/usr',
      '/usr',
      '--symlink',
      'usr/lib',
      '/lib',
      '--symlink',
      'usr/lib64',
      '/lib64',
      '--symlink',
      'usr/bin',
      '/bin',
    ],
    ...['--ro-bind-try', '/etc/ld.so.cache', '/etc/ld.so.cache', '--dev', '/dev', '--dir', INSIDE],
    ...installation(plan.binary),
    ...plan.devices.flatMap((device) => ['--dev-bind', device, device]),
    ...plan.readable.flatMap((path) => ['--ro-bind', path, inside(path)]),
    ...plan.writable.flatMap((path) => ['--bind', path, inside(path)]),
    ...['--bind', plan.socketFolder, inside(plan.socketFolder)],
    ...['--chdir', '/', '--remount-ro', '/', '--'],
    ...asUser,
    plan.binary,
    ...plan.args(inside),
  ];
  return { file: file!, args, infoFd: INFO_FD };
}

/** What a VMM of another place than /usr needs of that: PREFIX/bin/PROGRAM, its libraries and firmware. */
function installation(binary: string): string[] {
  if (!isAbsolute(binary) || binary.startsWith('/usr/')) return [];
  const prefix = dirname(dirname(binary));
  const shown = [
    binary,
    ...['lib', 'lib64', 'share/qemu', 'share/seabios'].map((path) => join(prefix, path)),
  ];
  // Folders that bwrap makes on the way are nobody's but its own under a strict umask.
  const folders = [dirname(binary), join(prefix, 'share')].flatMap(ancestors);
  return [
    ...[...new Set(folders)].flatMap((path) => ['--perms', '0755', '--dir', path]),
    ...shown.flatMap((path) => ['--ro-bind-try', path, path]),
  ];
}

/** Itself last; without the root. */
function ancestors(path: string): string[] {
  return dirname(path) === path ? [] : [...ancestors(dirname(path)), path];
}

function fileSizeLimit(plan: Plan): string[] {
  return plan.fileSizeMaxBytes === undefined ? [] : [`--fsize=${plan.fileSizeMaxBytes}`];
}

/** How the VMM of this plan names a host path: a constant inside the box, or the same without one. */
export function pathsOf(plan: Plan, { confinement }: BoxOptions): (host: string) => string {
  return confinement.namespaces ? insidePaths(plan) : (host) => host;
}

/** Host path → constant path inside: files by their place in the plan, sockets in one folder. */
function insidePaths(plan: Plan): (host: string) => string {
  const names = new Map<string, string>([[plan.socketFolder, `${INSIDE}/sockets`]]);
  for (const [kind, paths] of [
    ['r', plan.readable],
    ['w', plan.writable],
  ] as const) {
    paths.forEach((path, index) => {
      names.set(path, `${INSIDE}/${kind}${index}`);
    });
  }
  return (host) => {
    const name = names.get(host);
    if (name) return name;
    if (dirname(host) === plan.socketFolder) return `${INSIDE}/sockets/${basename(host)}`;
    throw new Error(`the plan does not name ${host}`);
  };
}
