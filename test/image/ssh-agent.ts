// A real ssh-agent of a test's own, with a key that was made for it. `stop` ends it.

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../vm/harness.ts';

export interface RunningSshAgent {
  folder: string;
  socket: string;
  /** Of the key in it; the private one lies beside it without `.pub`. */
  publicKey: string;
  fingerprint: string;
  /** What `ssh-add -l` says to somebody on this computer. */
  keys(): string;
  /** From now on the key signs for a host with this key only. */
  bind(host: string, hostKey: string): void;
  stop(): void;
}

/** Why there is none; false: there is. */
export const noOpenSsh =
  ['ssh-agent', 'ssh-add', 'ssh-keygen'].some((name) => spawnSync(name, ['-?']).error !== undefined) &&
  'OpenSSH is not installed';

export async function startSshAgent(): Promise<RunningSshAgent> {
  const folder = mkdtempSync(join(tmpdir(), 'warren-ssh-'));
  const socket = join(folder, 'agent');
  const child: ChildProcess = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  // It removes its socket itself: only then is the folder at rest.
  child.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const stop = () => void child.kill();
  try {
    const key = join(folder, 'key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'a test', '-f', key]);
    const env = { ...process.env, SSH_AUTH_SOCK: socket };
    // Its socket is there before it listens; 2 is that nobody answers (ssh-add(1)).
    await until('the agent answers', () => spawnSync('ssh-add', ['-l'], { env }).status !== 2);
    execFileSync('ssh-add', ['-q', key], { env });
    const keys = () => spawnSync('ssh-add', ['-l'], { env, encoding: 'utf8' }).stdout;
    const fingerprint = /SHA256:\S+/.exec(keys())![0];
    const bind = (host: string, hostKey: string) => {
      writeFileSync(join(folder, 'known'), `${host} ${hostKey}`);
      execFileSync('ssh-add', ['-q', '-D'], { env });
      execFileSync('ssh-add', ['-q', '-H', join(folder, 'known'), '-h', host, key], { env });
    };
    return { folder, socket, publicKey: readFileSync(`${key}.pub`, 'utf8'), fingerprint, keys, bind, stop };
  } catch (error) {
    stop();
    throw error;
  }
}
