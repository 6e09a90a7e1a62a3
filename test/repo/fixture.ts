// Real repositories in a temporary folder, git with a fixed identity and clock, and hashes of what must not
// change. Nothing here reads the configuration of the person who runs the tests: HOME is a folder of ours.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const made: string[] = [];
process.once('exit', () => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'warren-repo-'));
  made.push(folder);
  return folder;
}

const home = temporaryFolder();
writeFileSync(
  join(home, '.gitconfig'),
  '[user]\nname = Ada Ünï\nemail = ada@example.org\n[init]\ndefaultBranch = main\n[gc]\nauto = 0\n[protocol "file"]\nallow = always\n',
);
/** The person's own, for the tools that build the guest's side. */
export const personHome = process.env.HOME;
process.env.HOME = home;
delete process.env.XDG_CONFIG_HOME;
for (const name of Object.keys(process.env)) if (name.startsWith('GIT_')) delete process.env[name];
export const testHome = home;

const environment = () => ({
  PATH: process.env.PATH,
  HOME: home,
  LC_ALL: 'C',
  GIT_AUTHOR_DATE: '1700000000 +0000',
  GIT_COMMITTER_DATE: '1700000000 +0000',
});

export function sh(
  cwd: string,
  args: readonly string[],
  options: { input?: string | Buffer; env?: Record<string, string> } = {},
): string {
  return execFileSync('git', args, {
    cwd,
    env: { ...environment(), ...options.env },
    input: options.input ?? '',
    stdio: ['pipe', 'pipe', 'pipe'],
    maxBuffer: 1 << 30,
  })
    .toString()
    .replace(/\n$/, '');
}

export function write(root: string, files: Record<string, string | Buffer>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

export function makeRepository(
  files: Record<string, string | Buffer> = { 'a.txt': 'one\n', 'src/b.c': 'int b;\n' },
  args: readonly string[] = [],
  name = 'demo',
): string {
  const root = join(temporaryFolder(), name);
  mkdirSync(root);
  sh(root, ['init', '-q', ...args]);
  write(root, files);
  if (Object.keys(files).length > 0) commitAll(root, 'first');
  return root;
}

export function commitAll(root: string, message: string): string {
  sh(root, ['add', '-A']);
  sh(root, ['commit', '-q', '--allow-empty', '-m', message]);
  return sh(root, ['rev-parse', 'HEAD']);
}

/** Path to `type mode hash` of everything below `folder`; `skip` leaves paths out. */
export function fingerprint(
  folder: string,
  skip: (path: string) => boolean = () => false,
): Record<string, string> {
  const rows: Record<string, string> = {};
  const walk = (path: string) => {
    for (const name of readdirSync(join(folder, path))) {
      const inner = path ? `${path}/${name}` : name;
      if (skip(inner)) continue;
      const found = lstatSync(join(folder, inner));
      const mode = (found.mode & 0o777).toString(8);
      if (found.isSymbolicLink()) rows[inner] = `link ${readlinkSync(join(folder, inner))}`;
      else if (found.isDirectory()) walk(inner);
      else
        rows[inner] = `${mode} ${createHash('sha256')
          .update(readFileSync(join(folder, inner)))
          .digest('hex')}`;
    }
  };
  walk('');
  return rows;
}

/** Tracked and untracked files as they stand on disk. */
export const worktree = (root: string) =>
  fingerprint(root, (path) => path === '.git' || path.endsWith('/.git'));
