// Reads the values of secrets, in the process of the door that needs them and not before. Kept in memory for a minute;
// never written, never in an error. Limits: 10 s and 64 KiB a command, 64 KiB a file, and once in 10 s whatever a guest
// does: a command may ask its person something.

import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { SecretBinding, SecretSource } from './binding.ts';
import type { SecretValues } from './substitute.ts';

const KEPT_MS = 60_000;
const AGAIN_MS = 10_000;
const COMMAND_MS = 10_000;
const MAX_READ_BYTES = 64 * 1024;

interface Kept {
  source: SecretSource;
  value: Promise<string>;
  askedMs: number;
  untilMs: number;
}

export function secretValues(now: () => number = () => performance.now()): SecretValues {
  const kept = new Map<string, Kept>();
  return {
    async valueOf({ name, source }: SecretBinding) {
      const known = kept.get(name);
      if (known && known.source === source && known.untilMs > now()) return await known.value;
      const value = readSource(source);
      const mine = { source, value, askedMs: now(), untilMs: now() + KEPT_MS };
      kept.set(name, mine);
      value.catch(() => {
        mine.untilMs = now() + AGAIN_MS;
      });
      return await value;
    },
    drop: (name) => void kept.delete(name),
    doubt(name) {
      const known = kept.get(name);
      if (known) known.untilMs = Math.min(known.untilMs, known.askedMs + AGAIN_MS);
    },
  };
}

/** Rejects with the end of a sentence, without the value. One line break at the end goes. */
export async function readSource(source: SecretSource): Promise<string> {
  if (source.kind === 'value') return source.value;
  if (source.kind === 'missing') throw new Error(source.why);
  const text = source.kind === 'file' ? await readOwnFile(source.path) : await runCommand(source);
  return text.replace(/\r?\n$/, '');
}

async function readOwnFile(path: string): Promise<string> {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
  const file = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
    throw new Error(
      error.code === 'ELOOP' ? `${path} is a symbolic link` : `${path} cannot be opened (${error.code})`,
    );
  });
  try {
    const found = await file.stat();
    if (!found.isFile()) throw new Error(`${path} is not a regular file`);
    if (found.uid !== process.getuid?.()) throw new Error(`${path} belongs to another user`);
    if ((found.mode & 0o077) !== 0) throw new Error(`${path} is open to other users: chmod 600 it`);
    if (found.size > MAX_READ_BYTES) throw new Error(`${path} is larger than 64 KiB`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

async function runCommand({ command, env }: { command: string; env: Readonly<Record<string, string>> }) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  // A group of its own, so that all of it can be ended.
  const child = spawn('/bin/sh', ['-c', command], {
    env,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  const end = () => {
    try {
      if (child.pid) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Gone already.
    }
  };
  const fail = (why: string) => {
    reject(new Error(why));
    end();
  };
  const late = setTimeout(() => fail('its command took longer than 10 s'), COMMAND_MS);
  const chunks: Buffer[] = [];
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_READ_BYTES) fail('its command printed more than 64 KiB');
    else chunks.push(chunk);
  });
  child.once('error', () => fail('its command could not be started'));
  child.once('close', (code) => {
    if (code === 0) resolve(Buffer.concat(chunks).toString('utf8'));
    else fail(code === null ? 'its command was ended' : `its command failed (exit code ${code})`);
  });
  try {
    return await promise;
  } finally {
    clearTimeout(late);
  }
}
