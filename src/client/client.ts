// The SDK: typed calls to the daemon. What a sandbox's agent does (sessions, files) is in session.ts and files.ts.

import type {
  DaemonInfo,
  DiffResult,
  DoctorCheck,
  FetchResult,
  JournalRecord,
  MergeRequest,
  MergeResult,
  PruneRequest,
  PruneResult,
  SandboxDetail,
  SandboxView,
  TemplateDetail,
  TemplateView,
  UpRequest,
  UpResult,
} from '../protocol/api.ts';
import type { AttackRequest, AttackView } from '../protocol/attack.ts';
import type { BuildWish } from '../protocol/build.ts';
import type { AddedForward, PortsView } from '../protocol/forwards.ts';
import { type CallOptions, callJson, callStreamed, sandboxPath } from './call.ts';
import { Transport, type TransportOptions } from './transport.ts';

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

  lifecycleLog(name: string): Promise<string> {
    return this.#json('GET', `${sandboxPath(name)}/lifecycle-log`);
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
  forward(name: string, port: number, hostPort: number | null): Promise<AddedForward> {
    return this.#json('POST', `${sandboxPath(name)}/forwards`, { port, hostPort });
  }

  forwards(name: string): Promise<PortsView> {
    return this.#json('GET', `${sandboxPath(name)}/forwards`);
  }

  /** Answers false when there was none. */
  removeForward(name: string, port: number): Promise<boolean> {
    return this.#json('DELETE', `${sandboxPath(name)}/forwards/${port}`);
  }

  allowInitialize(consent: { root: string; digest: string }): Promise<unknown> {
    return this.#json('POST', '/v1/consent', consent);
  }

  templates(): Promise<TemplateView[]> {
    return this.#json('GET', '/v1/templates');
  }

  buildTemplate(
    request: {
      /** A folder, perhaps in a repository whose environment is meant. */
      path: string;
      environment: string | null;
      build: BuildWish | null;
      prepare: boolean;
      pull: boolean;
      cpus: number | null;
      memoryMib: number | null;
      diskGib: number | null;
    },
    options: CallOptions = {},
  ): Promise<{ id: string }> {
    return this.#streamed('/v1/templates', request, options);
  }

  /** It was kept open for `debug`; the build ends. */
  releaseFailedStep(id: string): Promise<void> {
    return this.#json('POST', `/v1/builds/${encodeURIComponent(id)}/release`);
  }

  removeTemplate(id: string): Promise<void> {
    return this.#json('DELETE', `/v1/templates/${encodeURIComponent(id)}`);
  }

  /** `name`: an id or the beginning of one, a sandbox, or what an image was made of. */
  template(name: string): Promise<TemplateDetail> {
    return this.#json('GET', `/v1/templates/${encodeURIComponent(name)}`);
  }

  prune(request: PruneRequest): Promise<PruneResult> {
    return this.#json('POST', '/v1/prune', request);
  }

  doctor(): Promise<DoctorCheck[]> {
    return this.#json('GET', '/v1/doctor');
  }

  /** A sandbox of its own is made, attacked from inside, and removed. */
  attack(request: AttackRequest, options: CallOptions = {}): Promise<AttackView[]> {
    return this.#streamed('/v1/attack', request, options);
  }

  close(): void {
    this.transport.close();
  }

  #json<T>(method: string, path: string, body?: unknown): Promise<T> {
    return callJson(this.transport, method, path, body);
  }

  #streamed<T>(path: string, body: unknown, options: CallOptions): Promise<T> {
    return callStreamed(this.transport, path, body, options);
  }
}
