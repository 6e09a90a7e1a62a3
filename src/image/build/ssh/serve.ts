// The SSH agents of one step: connections of its programs come from the machine one by one, and each is relayed to the
// agent that its socket is for.

import { setMaxListeners } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { WarrenError } from '../../../protocol/error.ts';
import { relay } from './relay.ts';
import { SshAgentFailed } from './ssh-agent.ts';

/** Of a step at once; more wait in the machine. */
export const CONNECTIONS_MAX = 16;

/** `number`: of the socket that a program has connected to. All of it is the guest's word. */
export interface SocketConnection {
  number: number;
  from: Readable;
  to: Writable;
}

export interface StepAgents {
  /** By the number of its socket: the id, and where on this computer the agent is. */
  agents: readonly { id: string; path: string }[];
  /** Waits for the next connection. */
  accept: (signal: AbortSignal) => Promise<SocketConnection>;
  /** A line to people. */
  tell: (line: string) => void;
}

/** Nothing is served before `begin`, and nothing after `end`. */
export class ServedAgents {
  readonly #ended = new AbortController();
  #serving: Promise<void> = Promise.resolve();

  begin(step: StepAgents): void {
    // Some for each connection.
    setMaxListeners(0, this.#ended.signal);
    this.#serving = serveAgents(step, this.#ended.signal);
  }

  async end(): Promise<void> {
    this.#ended.abort();
    await this.#serving;
  }
}

/** Serves until `signal`, and then tells what was signed with which key. */
async function serveAgents({ agents, accept, tell }: StepAgents, signal: AbortSignal): Promise<void> {
  const open = new Set<Promise<void>>();
  const signatures = new Map<string, number>();
  const told = new Set<string>();
  const tellOnce = (line: string) => {
    if (!signal.aborted && !told.has(line)) tell(line);
    told.add(line);
  };
  const serve = async (number: number, from: Readable, to: Writable) => {
    const { id, path } = agents[number]!;
    const onSigned = (key: string) => {
      const whose = `${key} of the SSH agent "${id}"`;
      signatures.set(whose, (signatures.get(whose) ?? 0) + 1);
    };
    await relay({ from, to, path, signal, onSigned }).catch((error) => {
      if (error instanceof SshAgentFailed) tellOnce(error.message);
    });
  };
  while (!signal.aborted) {
    if (open.size >= CONNECTIONS_MAX) {
      await Promise.race(open);
      continue;
    }
    try {
      const { number, from, to } = await accept(signal);
      if (!agents[number]) throw new Error(`the step has no socket ${number}`);
      const one = serve(number, from, to).finally(() => open.delete(one));
      open.add(one);
    } catch (error) {
      tellOnce(`SSH agents are passed on no longer: ${WarrenError.from(error).message}`);
      break;
    }
  }
  await Promise.all(open);
  for (const [key, times] of signatures)
    tell(`signed with ${key}: ${times === 1 ? 'once' : `${times} times`}`);
}
