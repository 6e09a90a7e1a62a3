// The steps of a build that make layers, with all that was written as variables filled in. What they need from outside
// (other stages, images, contexts) they name; nothing here has looked at a disk.

import type { Source } from './source.ts';

export type Step = RunStep | CopyStep | WorkdirStep;

/** A step before its `cacheText` is made. */
export type KeylessStep =
  | Omit<RunStep, 'cacheText'>
  | Omit<CopyStep, 'cacheText'>
  | Omit<WorkdirStep, 'cacheText'>;

interface StepBase {
  /** Of the file, from 1. An ONBUILD trigger has its FROM's. */
  line: number;
  /** For people, as BuildKit prints it: variables expanded, secrets masked. */
  text: string;
  /**
   * All that decides the result, apart from the parent and the contents of files: equal text, equal result. Sources
   * stand in it by their place in `sourcesOf(step)`, so that their content keys can be added by whoever knows them.
   */
  cacheText: string;
}

export interface RunStep extends StepBase {
  kind: 'run';
  argv: string[];
  /** The image's, then the ARGs in scope; the later one wins. Without proxies. */
  env: [name: string, value: string][];
  /** `HTTP_PROXY` and the like from build arguments: given to the command, never part of a key. */
  proxyEnv: [name: string, value: string][];
  /** '' is root. */
  user: string;
  /** Absolute. */
  workdir: string;
  mounts: Mount[];
  network: 'default' | 'none' | 'host';
  /** A here-document with a `#!` of its own: a file to put read-only at `path` (below /dev/pipes, mode 0755) and run. */
  script: { path: string; content: string } | null;
}

export type Mount = CacheMount | BindMount | TmpfsMount | SecretMount | SshMount;

interface MountBase {
  /** Absolute in the guest. */
  target: string;
}

export interface CacheMount extends MountBase {
  kind: 'cache';
  id: string;
  sharing: 'shared' | 'private' | 'locked';
  /** Files that it starts with; scratch mostly. */
  from: Source;
  /** Absolute in `from`. */
  source: string;
  readonly: boolean;
  uid: number;
  gid: number;
  mode: number;
}

export interface BindMount extends MountBase {
  kind: 'bind';
  from: Source;
  /** Absolute in `from`. */
  source: string;
  /** false: may be written, and what is written is lost. */
  readonly: boolean;
}

export interface TmpfsMount extends MountBase {
  kind: 'tmpfs';
  /** 0: without a limit of its own. */
  sizeBytes: number;
}

export interface SecretMount {
  kind: 'secret';
  id: string;
  /** null: only in the environment. */
  target: string | null;
  /** null: only as a file. */
  env: string | null;
  /** Missing is an error. */
  required: boolean;
  uid: number;
  gid: number;
  mode: number;
}

export interface SshMount {
  kind: 'ssh';
  id: string;
  /** null: wherever the builder likes; `SSH_AUTH_SOCK` says it. */
  target: string | null;
  required: boolean;
  uid: number;
  gid: number;
  mode: number;
}

export interface CopyStep extends StepBase {
  kind: 'copy';
  isAdd: boolean;
  /** Of `sources`. */
  from: Source;
  /** Wildcards unexpanded; cleaned, absolute in `from` without climbing out of it. */
  sources: CopySource[];
  /** Here-documents: files of mode 0644, root's. */
  inline: { name: string; content: string }[];
  /** ADD's, fetched by the host; not unpacked unless `unpack` is true. */
  urls: { url: string; name: string }[];
  /** Absolute; ends in "/" when it is a folder for sure. */
  dest: string;
  /** `USER[:GROUP]`, names or numbers, to be looked up in the stage's own files; null: root's. */
  chown: string | null;
  /** Octal digits or symbolic (`u+x,g=r`); null: as the source has it. */
  chmod: string | null;
  link: boolean;
  parents: boolean;
  /** Patterns like .dockerignore's, relative to each source. */
  excludes: string[];
  /** `sha256:…` of the one URL; null: not said. */
  checksum: string | null;
  /** ADD's tars: null: local archives are unpacked, URLs are not. */
  unpack: boolean | null;
}

export interface CopySource {
  /** Absolute in `from`; may have wildcards. */
  path: string;
  /** With `--parents`: what is kept of the path begins below this folder of `from`. */
  pivot: string;
  /** Nothing matching is an error: it has no wildcards. */
  required: boolean;
}

export interface WorkdirStep extends StepBase {
  kind: 'workdir';
  /** Absolute; made with its parents, mode 0755, when it is not there. */
  path: string;
  /** Owner of what is made; '' is root. */
  user: string;
}
