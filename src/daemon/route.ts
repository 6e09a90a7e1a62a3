// What a call of the API is, and who answers it. A handler gets the conductor and parsed input and answers a value; it
// never touches HTTP.

import type { Conductor } from '../sandbox/conductor.ts';
import type { OnProgress } from '../sandbox/rooms.ts';
import type { Sandbox } from '../sandbox/sandboxes.ts';

export interface Call {
  conductor: Conductor;
  params: Record<string, string>;
  query: URLSearchParams;
  body: unknown;
  signal: AbortSignal;
  onProgress: OnProgress;
  /** Of streamed routes: a line before the result. Resolves when there is room for more. */
  emit: (event: unknown) => Promise<void>;
}

export interface Route {
  method: 'GET' | 'POST' | 'DELETE';
  /** `:name` is one segment. */
  path: string;
  /** Answers with NDJSON lines: progress, then the result. */
  streamed?: true;
  handle(call: Call): Promise<unknown>;
}

type OnSandbox = (call: Call, sandbox: Sandbox) => Promise<unknown>;

export function onSandbox(handle: OnSandbox): Route['handle'] {
  return async (call) => await handle(call, call.conductor.get(call.params['name']!));
}

/** Verbs that change a sandbox wait for one another; the state is looked at when the turn has come. */
export function alone(handle: OnSandbox): Route['handle'] {
  return async (call) => {
    const { record } = call.conductor.get(call.params['name']!);
    return await call.conductor.exclusively(record.id, () => handle(call, call.conductor.get(record.id)));
  };
}
