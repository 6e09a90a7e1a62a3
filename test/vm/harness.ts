// A Warren of its own for a test file: own home, own daemon, real machines; images and templates are shared by all
// test runs of this computer, since they are addressed by content. `close` ends all of it and checks that it did.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, type TestContext } from 'node:test';
import { testStore } from './test-store.ts';

const program = resolve('bin/warren');
const COMMAND_TIMEOUT_MS = 10 * 60_000;

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  input?: string | Buffer;
  env?: Record<string, string>;
  /** Called with the process once it runs. */
  onStart?: (pid: number) => void;
}

export interface WarrenOptions {
  /** Names that lead to this computer's loopback: for this Warren's daemon and doors, and nobody else here. */
  hosts?: readonly string[];
}

export class Warren {
  readonly home: string;
  readonly env: Record<string, string>;
  /** In front of each command. */
  readonly #before: readonly string[];

  constructor({ hosts = [] }: WarrenOptions = {}) {
    this.home = mkdtempSync(join(tmpdir(), 'warren-test-'));
    this.env = {
      PATH: process.env['PATH'] ?? '',
      HOME: this.home,
      LC_ALL: 'C.UTF-8',
      WARREN_STORE: testStore(),
      ...pick('NODE_EXTRA_CA_CERTS', 'http_proxy', 'https_proxy', 'WARREN_QEMU'),
    };
    mkdirSync(this.env['WARREN_STORE']!, { recursive: true, mode: 0o700 });
    this.git(this.home, 'config', '--global', 'user.name', 'Ann Tester');
    this.git(this.home, 'config', '--global', 'user.email', 'ann@example.com');
    this.#before = hosts.length > 0 ? withHosts(this.home, hosts) : [];
  }

  get data(): string {
    return join(this.home, '.local/share/warren');
  }

  run(args: string[], options: RunOptions = {}): Promise<Ended> {
    const [file, ...all] = [...this.#before, program, ...args];
    return command(file!, all, {
      ...options,
      cwd: options.cwd ?? this.home,
      env: { ...this.env, ...options.env },
    });
  }

  /** Runs it and expects success; answers stdout. */
  async ok(args: string[], options: RunOptions = {}): Promise<string> {
    const ended = await this.run(args, options);
    assert.equal(ended.code, 0, `warren ${args.join(' ')}: ${ended.stderr}`);
    return ended.stdout;
  }

  async json<T>(args: string[], options: RunOptions = {}): Promise<T> {
    return JSON.parse(await this.ok([...args, '--json'], options)) as T;
  }

  /** A shell line in a sandbox; expects success. */
  async sh(name: string, line: string, flags: string[] = []): Promise<string> {
    return await this.ok(['exec', ...flags, name, '--', 'sh', '-c', line]);
  }

  /** Expects failure with this code on stderr, and no stack trace. */
  async fails(args: string[], code: string, options: RunOptions = {}): Promise<Ended> {
    const ended = await this.run(args, options);
    assert.notEqual(ended.code, 0, `warren ${args.join(' ')} succeeded: ${ended.stdout}`);
    assert.match(ended.stderr, new RegExp(`\\[${code.replaceAll('.', '\\.')}\\]`), ended.stderr);
    assert.doesNotMatch(ended.stderr, /^\s+at .*:\d+:\d+/m);
    return ended;
  }

  /** A repository with one commit of these files. */
  repository(name: string, files: Record<string, string> = { 'a.txt': 'one\n' }): string {
    const folder = join(this.home, name);
    mkdirSync(folder, { recursive: true });
    this.git(folder, 'init', '-q', '-b', 'main');
    write(folder, files);
    this.git(folder, 'add', '-A');
    this.git(folder, 'commit', '-q', '-m', 'first');
    return folder;
  }

  git(folder: string, ...args: string[]): string {
    return execFileSync('git', args, {
      cwd: folder,
      env: this.env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  async close(): Promise<void> {
    const names = JSON.parse((await this.run(['ls', '--json'])).stdout || '[]') as {
      name: string;
      id: string;
    }[];
    if (names.length > 0) await this.run(['rm', '--force', ...names.map(({ name }) => name)]);
    await this.#removePrepared();
    await this.run(['daemon', 'stop']);
    const left = this.#endWhatIsLeft();
    rmSync(this.home, { recursive: true, force: true, maxRetries: 10 });
    assert.deepEqual(left, [], 'processes are left');
  }

  /** A repository of this home is nobody else's, and what was prepared for it serves nobody any more. */
  async #removePrepared(): Promise<void> {
    if (!existsSync(join(this.data, 'projects'))) return;
    const { stdout } = await this.run(['template', 'ls', '--json']);
    const templates = JSON.parse(stdout || '[]') as { id: string; preparedFor: string | null }[];
    const mine = templates.filter(({ preparedFor }) => preparedFor?.startsWith(`${this.home}/`));
    if (mine.length > 0) await this.run(['template', 'rm', ...mine.map(({ id }) => id)]);
  }

  /** After a test that failed half-way; answers the pids. The box names the home, the VMM in it shares its `-name`. */
  #endWhatIsLeft(): number[] {
    const names = new Set<string>();
    const boxes = processes((args) => {
      const mine = args.some((arg) => arg.includes(this.home));
      const name = args[args.indexOf('-name') + 1];
      if (mine && args.includes('-name') && name) names.add(name);
      return mine;
    });
    const machines = processes(
      (args) => args.includes('-name') && names.has(args[args.indexOf('-name') + 1] ?? ''),
    );
    const left = [...new Set([...boxes, ...machines])];
    for (const pid of left) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {}
    }
    return left;
  }
}

/** For a test file: `const warren = openWarren();` at its top. */
export function openWarren(options: WarrenOptions = {}): Warren {
  const warren = new Warren(options);
  after(async () => await warren.close());
  return warren;
}

export function write(folder: string, files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** Pids of the processes whose arguments fit. */
export function processes(fits: (args: string[]) => boolean): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return pid !== process.pid && fits(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0'));
      } catch {
        return false;
      }
    });
}

export async function until<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  timeoutMs = 60_000,
  everyMs = 5,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    assert.ok(Date.now() < deadline, `${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** A shell script in a mount namespace of its own, where this folder is a file system of this size; `$W` is Warren. */
export function inSmall(
  warren: Warren,
  mib: number,
  folder: string,
  script: string,
  env: Record<string, string> = {},
): string {
  mkdirSync(folder, { recursive: true });
  return execFileSync(
    'unshare',
    [
      ...(process.getuid?.() === 0 ? ['-m'] : ['-rm']),
      'sh',
      '-euc',
      `mount -t tmpfs -o size=${mib}m,mode=700 none "$1"; shift; ${script}`,
      'sh',
      folder,
    ],
    { env: { ...warren.env, ...env, W: program }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
  );
}

/** Removes a sandbox when the test ends, whatever became of it. */
export function removeAfter(t: TestContext, warren: Warren, ...names: string[]): void {
  t.after(async () => {
    await warren.run(['rm', '--force', ...names]);
  });
}

export function command(
  file: string,
  args: string[],
  { cwd, input, env, onStart }: RunOptions = {},
): Promise<Ended> {
  const child = spawn(file, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'], timeout: COMMAND_TIMEOUT_MS });
  const ended: Ended = { code: -1, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ended.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ended.stderr += text;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  if (child.pid !== undefined) onStart?.(child.pid);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) =>
      resolve({ ...ended, code: code ?? (signal === null ? -1 : 128 + constants.signals[signal]) }),
    );
  });
}

/** A command runs in a mount namespace with an /etc/hosts of its own, and so does the daemon that it starts. */
function withHosts(home: string, hosts: readonly string[]): string[] {
  const file = join(home, 'hosts');
  writeFileSync(
    file,
    [readFileSync('/etc/hosts', 'utf8'), ...hosts.map((name) => `127.0.0.1 ${name}`), ''].join('\n'),
  );
  const isRoot = process.getuid?.() === 0;
  return ['unshare', isRoot ? '-m' : '-rm', 'sh', '-euc', 'mount --bind "$0" /etc/hosts; exec "$@"', file];
}

function pick(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

/** How far a guest's clock is from the time in which it was asked: that is no moment, however busy this computer is. */
export async function clockOffS(warren: Warren, name: string): Promise<number> {
  const beforeS = Date.now() / 1000;
  const guestS = Number(await warren.sh(name, 'date +%s.%N'));
  return Math.max(0, beforeS - guestS, guestS - Date.now() / 1000);
}
