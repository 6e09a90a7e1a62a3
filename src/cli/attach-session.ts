// Joins this terminal to a session in a sandbox: raw bytes both ways, size, signals, detach keys, exit code.
// The output of a PTY is passed on as it is; that is what a terminal is for.

import { Session, type SessionEvent, type SessionSpec } from '../client/session.ts';
import type { Transport } from '../client/transport.ts';
import { sanitize } from '../protocol/sanitize.ts';
import { terminalSize } from './pty.ts';
import { say } from './terminal.ts';

/** Ctrl-P Ctrl-Q, as docker has it. */
const DETACH = [0x10, 0x11] as const;
const SIGNAL_EXIT_BASE = 128;
const SIGNAL_NUMBERS: Record<string, number> = {
  hangup: 1,
  interrupt: 2,
  quit: 3,
  killed: 9,
  terminated: 15,
  'broken pipe': 13,
  'segmentation fault': 11,
  aborted: 6,
};

/** Whether the byte behind Ctrl-P was meant for us, and not for the session. */
export type Keys = (byte: number) => boolean;

export interface AttachResult {
  exitCode: number;
  detached: boolean;
}

export async function runAttached(
  transport: Transport,
  sandbox: string,
  spec: SessionSpec,
  keys?: Keys,
): Promise<AttachResult> {
  const session = Session.on(transport, sandbox, spec.user);
  const leave = new AbortController();
  return await join(session, spec, (signal) => session.start(spec, signal), leave, keys);
}

/** In a step of a build that failed. */
export async function attachBuild(
  transport: Transport,
  id: string,
  spec: SessionSpec,
): Promise<AttachResult> {
  const session = Session.inBuild(transport, id, spec.user);
  return await join(session, spec, (signal) => session.start(spec, signal), new AbortController());
}

export async function reattach(
  transport: Transport,
  sandbox: string,
  pid: number,
  spec: SessionSpec,
  keys?: Keys,
): Promise<AttachResult> {
  const session = Session.on(transport, sandbox, spec.user);
  session.pid = pid;
  const leave = new AbortController();
  return await join(session, spec, (signal) => session.connect(pid, signal), leave, keys);
}

async function join(
  session: Session,
  spec: SessionSpec,
  open: (signal: AbortSignal) => AsyncGenerator<SessionEvent>,
  leave: AbortController,
  keys: Keys = () => false,
): Promise<AttachResult> {
  const raw = spec.pty !== undefined && process.stdin.isTTY === true;
  const input = new InputQueue(session, spec.pty ? 'pty' : 'stdin');
  let undo = () => {};
  try {
    for await (const event of open(leave.signal)) {
      if (event.kind === 'started') {
        undo = takeTerminal({ session, spec, raw, input, detach: () => leave.abort(), keys });
      } else if (event.kind === 'output') {
        await write(event, spec);
      } else {
        return { exitCode: exitCodeOf(event), detached: false };
      }
    }
    throw new Error('unreachable: a session ends with its end event');
  } catch (error) {
    if (!leave.signal.aborted) throw error;
    undo();
    say(`\r\ndetached; the session goes on with pid ${session.pid}`);
    return { exitCode: 0, detached: true };
  } finally {
    undo();
  }
}

function takeTerminal(options: {
  session: Session;
  spec: SessionSpec;
  raw: boolean;
  input: InputQueue;
  detach: () => void;
  keys: Keys;
}): () => void {
  const { session, spec, raw, input, detach, keys } = options;
  const undo: (() => void)[] = [];
  if (raw) {
    process.stdin.setRawMode(true);
    undo.push(() => process.stdin.setRawMode(false));
    const onResize = () => {
      const { cols, rows } = terminalSize();
      void session.resize(cols, rows).catch(() => {});
    };
    process.stdout.on('resize', onResize);
    undo.push(() => process.stdout.off('resize', onResize));
    // The window may have changed while the session was starting.
    if (process.stdout.columns !== spec.pty!.cols || process.stdout.rows !== spec.pty!.rows) onResize();
  } else {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) {
      const pass = () => void session.signal(`SIGNAL_${signal}`).catch(() => {});
      process.on(signal, pass);
      undo.push(() => process.off(signal, pass));
    }
  }
  if (spec.stdin || spec.pty) {
    const scan = raw ? detachScanner(detach, keys) : (bytes: Buffer) => bytes;
    const onData = (bytes: Buffer) => {
      const rest = scan(bytes);
      if (rest.length > 0) input.push(rest);
    };
    const onEnd = () => input.end();
    // A question that was answered before has left it paused.
    process.stdin.on('data', onData).once('end', onEnd).resume();
    undo.push(() => {
      process.stdin.off('data', onData).off('end', onEnd);
      process.stdin.pause();
      process.stdin.unref?.();
    });
  }
  let undone = false;
  return () => {
    if (undone) return;
    undone = true;
    for (const step of undo.reverse()) step();
  };
}

/** Holds back the first detach key until it is clear whether the second follows. */
function detachScanner(detach: () => void, keys: Keys): (bytes: Buffer) => Buffer {
  let held = false;
  return (bytes) => {
    const out: number[] = [];
    for (const byte of bytes) {
      if (held && byte === DETACH[1]) {
        detach();
        return Buffer.alloc(0);
      }
      if (held && keys(byte)) {
        held = false;
        continue;
      }
      if (held) out.push(DETACH[0]);
      held = byte === DETACH[0];
      if (!held) out.push(byte);
    }
    return Buffer.from(out);
  };
}

const INPUT_CHUNK_BYTES = 256 * 1024;
const INPUT_QUEUE_BYTES = 1024 * 1024;

/** Sends input in order, one call at a time, joining what gathers meanwhile; pauses stdin when it is behind. */
class InputQueue {
  readonly #session: Session;
  readonly #to: 'stdin' | 'pty';
  #waiting: Buffer[] = [];
  #bytes = 0;
  #ended = false;
  #sending = false;

  constructor(session: Session, to: 'stdin' | 'pty') {
    this.#session = session;
    this.#to = to;
  }

  push(bytes: Buffer): void {
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes > INPUT_QUEUE_BYTES) process.stdin.pause();
    void this.#send();
  }

  end(): void {
    this.#ended = true;
    void this.#send();
  }

  async #send(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    try {
      while (this.#bytes > 0) {
        const all = Buffer.concat(this.#waiting);
        const chunk = all.subarray(0, INPUT_CHUNK_BYTES);
        const rest = all.subarray(INPUT_CHUNK_BYTES);
        this.#waiting = rest.length > 0 ? [rest] : [];
        this.#bytes = rest.length;
        if (this.#bytes < INPUT_QUEUE_BYTES) process.stdin.resume();
        await this.#session.sendInput(chunk, this.#to);
      }
      if (this.#ended) {
        if (this.#to === 'pty') await this.#session.sendInput(Buffer.from([0x04]), 'pty');
        else await this.#session.closeStdin();
      }
    } catch {
      // The process has ended or closed its input; its end event tells how.
      this.#waiting = [];
      this.#bytes = 0;
    } finally {
      this.#sending = false;
    }
  }
}

async function write(event: SessionEvent & { kind: 'output' }, spec: SessionSpec): Promise<void> {
  const target = event.stream === 'stderr' ? process.stderr : process.stdout;
  // Bytes for a program stay as they are; on a person's terminal, without a PTY, they are made visible.
  const plain = spec.pty === undefined && target.isTTY;
  const bytes = plain ? Buffer.from(sanitize(event.bytes.toString('utf8'))) : event.bytes;
  if (target.write(bytes)) return;
  await new Promise<void>((resolve) => target.once('drain', resolve));
}

function exitCodeOf(event: SessionEvent & { kind: 'ended' }): number {
  if (event.signal === null) return event.exitCode & 0xff;
  return SIGNAL_EXIT_BASE + (SIGNAL_NUMBERS[event.signal] ?? 1);
}
