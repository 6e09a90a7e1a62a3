// What userland a sandbox gets. Pure: from what a repository asks for to a specification and its digest.

import { createHash } from 'node:crypto';
import type { Reference } from './reference.ts';

export type Environment = DefaultEnvironment | ImageEnvironment | FilesEnvironment | DockerfileEnvironment;

/** An image that is built first. */
export interface DockerfileEnvironment {
  kind: 'dockerfile';
  /** Absolute, on the host. */
  file: string;
  /** The folder that COPY takes files from; absolute. */
  context: string;
  /** A stage's name or number; null: the last one. */
  target: string | null;
  args: Record<string, string>;
  /** Named contexts: an absolute folder, or `docker-image://REFERENCE`. */
  contexts: Record<string, string>;
}

export interface ImageEnvironment {
  kind: 'image';
  reference: Reference;
}

/** An OCI layout, what `docker save` wrote, or the tar of a root file system. */
export interface FilesEnvironment {
  kind: 'files';
  /** Absolute, on the host. */
  path: string;
}

export interface DefaultEnvironment {
  kind: 'default';
  /** Debian's release, and the packages on top of its minimal base. */
  suite: string;
  packages: string[];
  user: string;
  /** Raised when the way of building it changes. */
  recipe: number;
  /** Identifies all of the above. */
  digest: string;
}

const PACKAGES = [
  'bash',
  'ca-certificates',
  'curl',
  'git',
  'less',
  'nodejs',
  'npm',
  'openssh-client',
  'procps',
  'python3',
  'sudo',
];
const RECIPE = 3;

/** Debian 13, minimal, with what a developer and an agent reach for first. */
export function defaultEnvironment(): DefaultEnvironment {
  const spec = {
    kind: 'default' as const,
    suite: 'trixie',
    packages: PACKAGES,
    user: 'user',
    recipe: RECIPE,
  };
  return { ...spec, digest: createHash('sha256').update(JSON.stringify(spec)).digest('hex') };
}
