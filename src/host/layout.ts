// Every name that Warren puts on disk, in one place; docs/DISK.md explains each. Nothing else in the
// project joins a path of its own under these folders.

import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface Layout {
  /** What must survive: sandboxes, and the templates and images that they run from. */
  data: string;
  /** Sockets and what describes running processes; gone after a reboot. */
  runtime: string;
  /** The user's settings. */
  config: string;
}

/** From `XDG_DATA_HOME`, `XDG_RUNTIME_DIR` (else under `XDG_STATE_HOME`) and `XDG_CONFIG_HOME`. */
export function layoutFrom(env: NodeJS.ProcessEnv = process.env): Layout {
  const home = env['HOME'] || homedir();
  const xdg = (name: string, fallback: string) => env[name] || join(home, fallback);
  const runtimeBase = env['XDG_RUNTIME_DIR'];
  return {
    data: join(xdg('XDG_DATA_HOME', '.local/share'), 'warren'),
    runtime: runtimeBase
      ? join(runtimeBase, 'warren')
      : join(xdg('XDG_STATE_HOME', '.local/state'), 'warren/run'),
    config: join(xdg('XDG_CONFIG_HOME', '.config'), 'warren'),
  };
}

/** Where the shared, immutable part of `data` lives; `WARREN_STORE` moves it (CI, several homes). */
export function storeFolder(layout: Layout, env: NodeJS.ProcessEnv = process.env): string {
  return env['WARREN_STORE'] || layout.data;
}

export const daemonFiles = (layout: Layout) => ({
  socket: join(layout.runtime, 'daemon.sock'),
  lock: join(layout.runtime, 'daemon.lock'),
  info: join(layout.runtime, 'daemon.json'),
  log: join(layout.data, 'daemon.log'),
});

/** Which secrets there are: references, never values. */
export const secretsFile = (layout: Layout) => join(layout.config, 'secrets.json');

/** The port of stable names that was found free when the usual one was not. */
export const namesPortFile = (layout: Layout) => join(layout.data, 'names-port');

export const sandboxesFolder = (layout: Layout) => join(layout.data, 'sandboxes');

/** One folder per sandbox, named by its id (not by its name, which the user may reuse). */
export const sandboxFiles = (layout: Layout, id: string) => {
  const folder = join(sandboxesFolder(layout), id);
  return {
    folder,
    state: join(folder, 'sandbox.json'),
    journal: join(folder, 'journal.jsonl'),
    /** Ports of this computer that lead to ports of its. */
    forwards: join(folder, 'forwards.json'),
    machine: machineFiles(join(folder, 'machine')),
    quarantine: join(folder, 'quarantine'),
    transfer: join(folder, 'transfer'),
    door: doorFiles(folder),
    /** What stands for each secret in this sandbox. */
    placeholders: join(folder, 'placeholders.json'),
    /** All that the lifecycle commands of its devcontainer.json said. */
    lifecycleLog: join(folder, 'lifecycle.log'),
  };
};

export const archivesFolder = (layout: Layout) => join(layout.data, 'archives');

/** What is kept of a sandbox that is removed and whose commits came home: named as in its own folder. */
export const archiveFiles = (layout: Layout, id: string) => {
  const folder = join(archivesFolder(layout), id);
  return { folder, journal: join(folder, 'journal.jsonl'), audit: doorFiles(folder).audit };
};

/** What one build needs while it runs: its machine's files, its door's, and disks of what it starts from. */
export const buildFiles = (layout: Layout, id: string) => {
  const folder = join(layout.data, 'builds', id);
  return {
    folder,
    disk: join(folder, 'disk.raw'),
    memory: join(folder, 'memory.img'),
    console: join(folder, 'console.log'),
    vmmLog: join(folder, 'vmm.log'),
    door: doorFiles(folder),
    bases: join(folder, 'bases'),
    /** Whose caches are on the disk. */
    caches: join(folder, 'caches.json'),
  };
};
export const buildsFolder = (layout: Layout) => join(layout.data, 'builds');

export const buildCachesFolder = (layout: Layout) => join(layout.data, 'build-caches');

/** Of one project's builds: what `RUN --mount=type=cache` keeps, and digests of files that have not changed. */
export const buildCacheFiles = (layout: Layout, context: string) => {
  const digest = createHash('sha256').update(context).digest('hex').slice(0, 32);
  const folder = join(buildCachesFolder(layout), digest);
  return { folder, disk: join(folder, 'caches.raw'), digests: join(folder, 'digests.json') };
};

/** What a door keeps beside the sandbox that it serves. */
export const doorFiles = (folder: string) => ({
  /** Allowed and denied by a person for this sandbox alone. */
  policy: join(folder, 'policy.json'),
  audit: join(folder, 'audit.jsonl'),
  names: join(folder, 'names.txt'),
  /** Of a sandbox without a project. */
  authority: join(folder, 'authority.json'),
});

/** What belongs to a repository of the user rather than to one sandbox, in a folder named by its path's digest. */
export const projectFiles = (layout: Layout, root: string) => {
  const digest = createHash('sha256').update(root).digest('hex').slice(0, 32);
  const folder = join(layout.data, 'projects', digest);
  return {
    folder,
    policy: join(folder, 'policy.json'),
    authority: join(folder, 'authority.json'),
    /** What a person let its devcontainer.json do on this computer. */
    consent: join(folder, 'consent.json'),
    /** All that the commands of the last preparation said. */
    prepareLog: join(folder, 'prepare.log'),
  };
};

/** What one machine owns on disk. The VMM sees only this folder (writable) and its template (read-only). */
export const machineFiles = (folder: string) => ({
  folder,
  disk: join(folder, 'disk.qcow2'),
  /** Memory of a machine that was booted rather than restored. */
  memory: join(folder, 'memory.img'),
  console: join(folder, 'console.log'),
  vmmLog: join(folder, 'vmm.log'),
});

/** Sockets of one machine, in the runtime folder: unix socket paths end at 107 bytes. */
export const machineSockets = (folder: string) => ({
  folder,
  qmp: join(folder, 'qmp'),
  agent: join(folder, 'agent'),
  egress: join(folder, 'egress'),
});
export const machineRuntimeFolder = (layout: Layout, id: string) => join(layout.runtime, 'machines', id);

export const storeFolders = (store: string) => ({
  images: join(store, 'images'),
  /** Tars of OCI layers, one copy for all images. */
  layers: join(store, 'layers'),
  /** Which image a name stood for when it was last looked up. */
  references: join(store, 'references'),
  /** Which layer a step of a build gave. */
  steps: join(store, 'steps'),
  /** Features of devcontainer.json, resolved: Dockerfiles and what they copy. */
  features: join(store, 'features'),
  kernels: join(store, 'kernels'),
  templates: join(store, 'templates'),
  downloads: join(store, 'downloads'),
  accelerator: join(store, 'accelerator.json'),
  /** The last words of the last template that could not be built. */
  templateLog: join(store, 'template-build.log'),
  /** All that the steps of the last build said. */
  buildLog: join(store, 'build.log'),
});

/** What doors keep of downloads; each file is named by what was asked for. */
export const downloadFiles = (folder: string) => ({
  folder,
  answer: (digest: string) => join(folder, digest.slice(0, 2), digest.slice(2)),
});

/** A kernel with the initramfs that holds our agent. */
export const kernelFiles = (folder: string) => ({
  folder,
  vmlinuz: join(folder, 'vmlinuz'),
  initramfs: join(folder, 'initramfs.cpio'),
  record: join(folder, 'kernel.json'),
});

/** `digest`: of the tar, `sha256:` and hex. */
export const layerFile = (folder: string, digest: string) =>
  join(folder, `${digest.replace('sha256:', '')}.tar`);

/** `key`: a digest of what the user named. */
export const referenceFile = (folder: string, key: string) => join(folder, `${key}.json`);

/** `key`: a digest of all that decides the step's result. */
export const stepFile = (folder: string, key: string) => join(folder, `${key}.json`);

/** An image: its read-only layers, lowest first, as `layer-0.erofs`, `layer-1.erofs`, … */
export const imageFiles = (folder: string) => ({
  folder,
  layer: (index: number) => join(folder, `layer-${index}.erofs`),
  record: join(folder, 'image.json'),
});

export const templateFiles = (folder: string) => ({
  folder,
  memory: join(folder, 'memory.img'),
  device: join(folder, 'device.state'),
  disk: join(folder, 'disk.raw'),
  /** An empty overlay over `disk`; a new machine's disk is a copy of it. */
  overlay: join(folder, 'overlay.qcow2'),
  record: join(folder, 'template.json'),
});
