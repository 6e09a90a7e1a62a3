// The profiles by name, and which of them fit a repository.

import { apk } from './profiles/apk.ts';
import { apt } from './profiles/apt.ts';
import { cargo } from './profiles/cargo.ts';
import { claude } from './profiles/claude.ts';
import { codex } from './profiles/codex.ts';
import { gitHosts } from './profiles/git-hosts.ts';
import { go } from './profiles/go.ts';
import { none } from './profiles/none.ts';
import { npm } from './profiles/npm.ts';
import { open } from './profiles/open.ts';
import { pip } from './profiles/pip.ts';
import type { Profile } from './profiles/profile.ts';

export const PROFILES = {
  npm,
  pip,
  cargo,
  go,
  apt,
  apk,
  'git-hosts': gitHosts,
  claude,
  codex,
  open,
  none,
} as const satisfies Record<string, Profile>;

export type ProfileName = keyof typeof PROFILES;

export function profileNames(): ProfileName[] {
  return Object.keys(PROFILES) as ProfileName[];
}

/** For a repository that has these names at its root. The agents' own hosts are never chosen by a repository. */
export function profilesFor(files: readonly string[]): ProfileName[] {
  const there = new Set(files);
  return profileNames().filter((name) =>
    PROFILES[name].files.some((file) => file === '*' || there.has(file)),
  );
}

const USED_BY: readonly (readonly [RegExp, ProfileName[]])[] = [
  [/\b(?:apt|apt-get|aptitude|debootstrap|mmdebstrap)\b/, ['apt']],
  [/(?:^|[\s;&|(])apk\s/, ['apk']],
  [/\b(?:npm|npx|pnpm|yarn|corepack)\b/, ['npm']],
  [/\b(?:pip3?|pipx|poetry|pdm|uv)\b/, ['pip']],
  [/\bcargo\b/, ['cargo', 'git-hosts']],
  [/\bgo (?:build|get|generate|install|list|mod|run|test|tool|vet|work)\b/, ['go', 'git-hosts']],
  [/\bgit (?:clone|fetch|pull|submodule|ls-remote)\b/, ['git-hosts']],
];

/** For commands that are to run: which registries they are likely to ask. */
export function profilesForCommands(commands: readonly string[]): ProfileName[] {
  const wanted = new Set(
    USED_BY.flatMap(([uses, names]) => (commands.some((command) => uses.test(command)) ? names : [])),
  );
  return profileNames().filter((name) => wanted.has(name));
}
