// Debian's docker-registry on a port of loopback, its data in a folder of the test.

import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { debianProgram } from './debian-program.ts';

export const registryProgram = () => debianProgram('docker-registry', 'usr/bin/docker-registry');

export interface RunningRegistry {
  /** `127.0.0.1:PORT`. */
  host: string;
  url: string;
  stop(): Promise<void>;
}

/** `htpasswd`: a file that says who may come in; without one, anybody. */
export async function startRegistry(
  program: string,
  folder: string,
  htpasswd?: string,
): Promise<RunningRegistry> {
  mkdirSync(folder, { recursive: true });
  const config = join(folder, 'config.yml');
  const auth = htpasswd ? `auth:\n  htpasswd:\n    realm: test\n    path: ${htpasswd}\n` : '';
  writeFileSync(
    config,
    `version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: ${folder}/data\nhttp:\n  addr: 127.0.0.1:0\n  secret: test\n${auth}`,
  );
  const child = spawn(program, ['serve', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] },
  });
  let said = '';
  const port = new Promise<string>((resolve, reject) => {
    const look = (chunk: Buffer) => {
      said += chunk;
      const found = /listening on 127\.0\.0\.1:(\d+)/.exec(said)?.[1];
      if (found) resolve(found);
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`the registry ended: ${said.slice(-2000)}`)));
  });
  const host = `127.0.0.1:${await Promise.race([port, setTimeout(60_000, '', { ref: false })])}`;
  if (host.endsWith(':')) throw new Error(`the registry did not start: ${said.slice(-2000)}`);
  const ended = new Promise((resolve) => child.once('close', resolve));
  return {
    host,
    url: `http://${host}`,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
