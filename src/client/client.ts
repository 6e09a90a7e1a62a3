// The SDK: typed calls to the daemon. What a sandbox's agent does (sessions, files) is in session.ts and files.ts.

import type {
  DaemonInfo,
  DiffResult,
  DoctorCheck,
  FetchResult,
  JournalRecord,
  MergeRequest,
  MergeResult,
  Progress,
  PruneResult,
  SandboxDetail,
  SandboxView,
  StreamedLine,
  TemplateView,
  UpRequest,
  UpResult,
} from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import type { ForwardView, PortsView } from '../protocol/forwards.ts';
import { readText, Transport, type TransportOptions } from './transport.ts';

export interface CallOptions {
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

export class Client {
  readonly transport: Transport;

  constructor(options: TransportOptions) {
    this.transport = new Transport(options);
  }

  info(): Promise<DaemonInfo> {
    return this.#json('GET', '/v1/info');
  }

  stopDaemon(): Promise<void> {
    return this.#json('POST', '/v1/stop');
  }

  list(): Promise<SandboxView[]> {
    return this.#json('GET', '/v1/sandboxes');
  }

  show(name: string): Promise<SandboxDetail> {
    return this.#json('GET', sandboxPath(name));
  }

  up(request: UpRequest, options: CallOptions = {}): Promise<UpResult> {
    return this.#streamed('/v1/sandboxes', request, options);
  }

  remove(name: string, options: { force: boolean }): Promise<void> {
    return this.#json('DELETE', `${sandboxPath(name)}${options.force ? '?force=1' : ''}`);
  }

  /** Answers whether anything was done; the sandbox may be there already. */
  power(name: string, verb: 'stop' | 'start' | 'pause' | 'resume'): Promise<boolean> {
    return this.#json('POST', `${sandboxPath(name)}/${verb}`);
  }

  journal(name: string): Promise<JournalRecord[]> {
    return this.#json('GET', `${sandboxPath(name)}/journal`);
  }

  console(name: string): Promise<string> {
    return this.#json('GET', `${sandboxPath(name)}/console`);
  }

  diff(name: string, options: { stat: boolean }): Promise<DiffResult> {
    return this.#json('GET', `${sandboxPath(name)}/diff${options.stat ? '?stat=1' : ''}`);
  }

  fetch(name: string, options: CallOptions = {}): Promise<FetchResult> {
    return this.#streamed(`${sandboxPath(name)}/fetch`, {}, options);
  }

  merge(name: string, request: MergeRequest, options: CallOptions = {}): Promise<MergeResult> {
    return this.#streamed(`${sandboxPath(name)}/merge`, request, options);
  }

  /** `hostPort` null: the same as in the guest when that is free, else another. */
  forward(name: string, port: number, hostPort: number | null): Promise<ForwardView> {
    return this.#json('POST', `${sandboxPath(name)}/forwards`, { port, hostPort });
  }

  forwards(name: string): Promise<PortsView> {
    return this.#json('GET', `${sandboxPath(name)}/forwards`);
  }

  /** Answers false when there was none. */
  removeForward(name: string, port: number): Promise<boolean> {
    return this.#json('DELETE', `${sandboxPath(name)}/forwards/${port}`);
  }

  templates(): Promise<TemplateView[]> {
    return this.#json('GET', '/v1/templates');
  }

  buildTemplate(
    request: {
      environment: string | null;
      pull: boolean;
      cpus: number | null;
      memoryMib: number | null;
      diskGib: number | null;
    },
    options: CallOptions = {},
  ): Promise<{ id: string }> {
    return this.#streamed('/v1/templates', request, options);
  }

  removeTemplate(id: string): Promise<void> {
    return this.#json('DELETE', `/v1/templates/${encodeURIComponent(id)}`);
  }

  prune(options: { all: boolean }): Promise<PruneResult> {
    return this.#json('POST', `/v1/prune${options.all ? '?all=1' : ''}`);
  }

  doctor(): Promise<DoctorCheck[]> {
    return this.#json('GET', '/v1/doctor');
  }

  close(): void {
    this.transport.close();
  }

  async #json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.transport.send({
      method,
      path,
      ...(body !== undefined && {
        headers: { 'content-type': 'application/json' },
        body: Buffer.from(JSON.stringify(body)),
      }),
    });
    return JSON.parse(await readText(answer)) as T;
  }

  async #streamed<T>(path: string, body: unknown, { signal, onProgress }: CallOptions): Promise<T> {
    const answer = await this.transport.send({
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(body)),
      ...(signal && { signal }),
    });
    let kept = '';
    answer.setEncoding('utf8');
    for await (const chunk of answer as AsyncIterable<string>) {
      kept += chunk;
      const lines = kept.split('\n');
      kept = lines.pop()!;
      for (const text of lines) {
        const line = JSON.parse(text) as StreamedLine<T>;
        if ('progress' in line) onProgress?.(line.progress);
        else if ('error' in line) throw new WarrenError(line.error);
        else return line.result;
      }
    }
    throw new WarrenError({
      code: 'daemon.unreachable',
      message: 'the daemon went away before it answered',
      remedy: 'try the command again',
    });
  }
}

export function sandboxPath(name: string): string {
  return `/v1/sandboxes/${encodeURIComponent(name)}`;
}
