// The agent itself as a plain process: `warren-agent -listen FOLDER`.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { socketAnswers } from '../socket-answers.ts';

export interface RunningAgent {
  /** Its sockets, by the names of its streams. */
  agent: string;
  egress: string;
  folder: string;
  stop(): Promise<void>;
}

export async function startAgent(): Promise<RunningAgent> {
  const folder = mkdtempSync(join(tmpdir(), 'warren-agent-'));
  const [agent, egress] = [join(folder, 'agent'), join(folder, 'egress')];
  const child = spawn(resolve('dist/warren-agent'), ['-listen', folder], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true });
  };
  // A socket is there before it listens.
  for (const socket of [agent, egress])
    while (!(await socketAnswers(socket))) {
      if (child.exitCode !== null) throw new Error(`the agent ended with ${child.exitCode}`);
      await setTimeout(10);
    }
  return { agent, egress, folder, stop };
}
