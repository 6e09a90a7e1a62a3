// A guest without a machine: the agent's git service on a unix socket, built from the Go sources once per run.

import { execFileSync, spawn } from 'node:child_process';
import { type IncomingMessage, request } from 'node:http';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { socketAnswers } from '../socket-answers.ts';
import { personHome, temporaryFolder, testHome } from './fixture.ts';

const agentFolder = fileURLToPath(new URL('../../agent', import.meta.url));
export const user = userInfo().username;

export interface Guest {
  folder: string;
  clone(tar: Readable): Promise<{ status: number; body: Record<string, unknown> }>;
  update(tar: Readable): Promise<{ status: number; body: Record<string, unknown> }>;
  json<T = Record<string, unknown>>(call: 'status' | 'commit', body: Record<string, unknown>): Promise<T>;
  pack(body: Record<string, unknown>): Promise<{ status: number; tip: string; pack: Readable | null }>;
  stop(): void;
}

let built: string | null = null;

/** Why no guest can be had here, or null. */
export function guestMissing(): string | null {
  try {
    built ??= process.env.WARREN_TEST_GIT_SERVER ?? build();
    return null;
  } catch (error) {
    return `the agent's git service cannot be built: ${(error as Error).message.slice(0, 300)}`;
  }
}

export async function startGuest(): Promise<Guest> {
  const folder = temporaryFolder();
  const socket = join(folder, 'agent.sock');
  const missing = guestMissing();
  if (missing) throw new Error(missing);
  const child = spawn(built!, [socket], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, HOME: testHome },
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said = (said + chunk).slice(-4000);
  });
  child.unref();
  (child.stderr as unknown as { unref(): void }).unref();
  // Its socket is there before it listens.
  for (let tries = 0; !(await socketAnswers(socket)); tries++) {
    if (child.exitCode !== null || tries > 6000) throw new Error(`the git service did not start: ${said}`);
    await setTimeout(10);
  }
  const post = (call: string, body: Readable | string) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request({ socketPath: socket, path: `/warren/git/${call}`, method: 'POST' }, resolve);
      sent.once('error', reject);
      if (typeof body === 'string') sent.end(body);
      else {
        body.once('error', (error) => sent.destroy(error));
        body.pipe(sent);
      }
    });
  const send = async (call: string, tar: Readable) => {
    const answer = await post(call, tar);
    return { status: answer.statusCode!, body: JSON.parse(await text(answer)) };
  };
  return {
    folder,
    clone: (tar) => send('clone', tar),
    update: (tar) => send('update', tar),
    async json(call, body) {
      const answer = await post(call, JSON.stringify(body));
      const said = await text(answer);
      if (answer.statusCode !== 200) throw new Error(`${call}: ${said}`);
      return JSON.parse(said);
    },
    async pack(body) {
      const answer = await post('pack', JSON.stringify(body));
      const tip = String(answer.headers['warren-tip']);
      if (answer.statusCode === 200) return { status: 200, tip, pack: answer };
      const said = await text(answer);
      if (answer.statusCode !== 204) throw new Error(`pack: ${said}`);
      return { status: 204, tip, pack: null };
    },
    stop: () => child.kill('SIGKILL'),
  };
}

function build(): string {
  const binary = join(temporaryFolder(), 'git-testserver');
  execFileSync('go', ['build', '-o', binary, './internal/git/testserver'], {
    cwd: agentFolder,
    env: { ...process.env, CGO_ENABLED: '0', HOME: personHome },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return binary;
}
