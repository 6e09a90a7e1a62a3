// A small Debian with git and a user of its own, as development images have: made by mmdebstrap once for all runs.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { mmdebstrap } from '../../src/image/debootstrap.ts';

const RECIPE = 1;
const PACKAGES = ['ca-certificates', 'curl', 'git', 'passwd', 'procps', 'sudo'];

/** The tar of its tree. User `dev` has the uid 1000 and bash. `more`: packages on top. */
export async function debianTree(more: readonly string[] = []): Promise<Buffer> {
  const folder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'warren-test');
  const file = join(folder, `${['debian-dev', RECIPE, ...more].join('-')}.tar`);
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    const made = join(folder, `.debian-dev-${process.pid}.tar`);
    try {
      await mmdebstrap(
        [
          '--variant=apt',
          `--include=${[...PACKAGES, ...more].join(',')}`,
          '--dpkgopt=path-exclude=/usr/share/man/*',
          '--dpkgopt=path-exclude=/usr/share/doc/*',
          '--dpkgopt=path-exclude=/usr/share/locale/*',
          '--aptopt=Apt::Install-Recommends "false"',
          '--customize-hook=chroot "$1" useradd --create-home --uid 1000 --shell /bin/bash dev',
          '--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin',
          // As images of a language have it: pip may install for everybody.
          '--customize-hook=rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
          'trixie',
          made,
        ],
        {},
      );
      renameSync(made, file);
    } finally {
      rmSync(made, { force: true });
    }
  }
  return readFileSync(file);
}
