// Starts a door process and speaks to it. The child gets its orders over IPC only; its environment holds what it
// needs to verify upstreams, and no secrets.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import type { DoorConfig, FromDoor, ToDoor } from '../../egress/door/messages.ts';
import { DOOR_ENVIRONMENT, DOOR_NODE_FLAGS } from '../../egress/door/node-flags.ts';

export interface DoorChild {
  readonly pid: number;
  send(message: Exclude<ToDoor, DoorConfig>): void;
  /** Resolves when it has ended: whether it had served, and the last of what it printed. */
  ended: Promise<{ served: boolean; said: string }>;
  stop(): void;
}

const MAX_HEAP_MIB = 192;
/** For the last records of its flows; then the kernel ends it, and every connection with it. */
const STOP_MS = 2_000;
const SAID_CHARS = 2_000;
const PASSED_ON = ['PATH', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS'];

/** `program`: the built `door-process.js`. */
export function startDoor(
  program: string,
  config: DoorConfig,
  onMessage: (message: Exclude<FromDoor, { type: 'ready' }>) => void,
): DoorChild {
  const env = Object.fromEntries(
    PASSED_ON.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
  const child = fork(program, [], {
    // No core file: there are secrets in its memory. The shell becomes the process.
    execPath: '/bin/sh',
    execArgv: [
      '-c',
      'ulimit -c 0 && exec "$0" "$@"',
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      `--max-old-space-size=${MAX_HEAP_MIB}`,
      ...DOOR_NODE_FLAGS,
    ],
    env: { ...env, ...DOOR_ENVIRONMENT },
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
  });
  let served = false;
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-SAID_CHARS);
  });
  child.on('message', (message: FromDoor) => {
    if (message.type === 'ready') served = true;
    else onMessage(message);
  });
  const ended = Promise.withResolvers<{ served: boolean; said: string }>();
  // Not `close`: Node does not tell it once we have disconnected.
  const exited = once(child, 'exit');
  const silent = finished(child.stderr!).catch(() => {});
  Promise.all([exited, silent]).then(
    () => ended.resolve({ served, said: said.trim() }),
    () => {},
  );
  child.once('error', (error) => ended.resolve({ served, said: error.message }));
  say(child, config);
  return {
    pid: child.pid ?? 0,
    send: (message) => say(child, message),
    ended: ended.promise,
    stop() {
      if (child.connected) child.disconnect();
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      void ended.promise.then(() => clearTimeout(late));
    },
  };
}

/** To a child that has gone: nobody misses it. */
function say(child: ChildProcess, message: ToDoor): void {
  if (child.connected) child.send(message, () => {});
}
