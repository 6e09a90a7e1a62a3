// A real terminal for a command: tmux holds it, keys are typed, and what the screen shows is waited for.

import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { until, type Warren } from './harness.ts';

export interface Terminal {
  tmux(...args: string[]): string;
  /** Text, or names of keys: `Enter`, `C-c`. */
  type(...keys: string[]): void;
  shows(pattern: RegExp): Promise<true>;
  screen(): string;
  close(): void;
}

/** Whole builds may come before it. */
const SHOWN_MS = 180_000;
/** Each look starts a program. */
const LOOK_MS = 50;
let opened = 0;

/** 100 columns, 30 lines; a shell of this computer follows when the command has ended. */
export function openTerminal(warren: Warren, args: string[], cwd = warren.home): Terminal {
  const name = `warren-${process.pid}-${opened++}`;
  const tmux = (...words: string[]) =>
    execFileSync('tmux', ['-L', name, ...words], {
      encoding: 'utf8',
      stdio: 'pipe',
      cwd,
      env: { ...warren.env, TERM: 'xterm-256color' },
    });
  const command = [resolve('bin/warren'), ...args].map((word) => `'${word}'`).join(' ');
  tmux(
    'new-session',
    '-d',
    '-x',
    '100',
    '-y',
    '30',
    '-c',
    cwd,
    `trap : INT; ${command}; echo "left with $?"; exec sh`,
  );
  const screen = () => tmux('capture-pane', '-p', '-J');
  return {
    tmux,
    screen,
    type: (...keys) => void tmux('send-keys', ...keys),
    shows: async (pattern) => {
      try {
        return await until(String(pattern), () => pattern.test(screen()) || undefined, SHOWN_MS, LOOK_MS);
      } catch (error) {
        throw new Error(`${(error as Error).message}; the screen shows:\n${screen()}`);
      }
    },
    close: () => void tmux('kill-server'),
  };
}
