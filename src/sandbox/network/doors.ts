// The doors of all sandboxes: opened with a machine, closed with it, told when a policy has changed.

import { join } from 'node:path';
import type { AuthorityPem } from '../../egress/tls/authority.ts';
import { doorFiles, projectFiles, sandboxFiles } from '../../host/layout.ts';
import type { Machine } from '../../machine/machine.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { Sandbox, Sandboxes } from '../sandboxes.ts';
import type { SecretKeeper } from '../secrets.ts';
import type { Templates } from '../templates.ts';
import { ensureAuthority } from './authority.ts';
import { downloadSettings } from './downloads.ts';
import { DoorKeeper } from './keeper.ts';
import { type EffectivePolicy, policyOf } from './policy.ts';
import { Questions } from './questions.ts';
import { tellSessions } from './sessions.ts';
import { FileWatch } from './watch-files.ts';
import { waySettings } from './way.ts';

const IDLE_MS = 60_000;
const TRUST_TIMEOUT_MS = 30_000;

interface Open {
  keeper: DoorKeeper;
  /** In force; kept when a later one cannot be read. */
  policy: EffectivePolicy | undefined;
}

export interface DoorsOptions {
  sandboxes: Sandboxes;
  secrets: Pick<SecretKeeper, 'bindingsFor' | 'secretEnvironment'>;
  templates: Pick<Templates, 'get'>;
  closedHostPorts: ReadonlySet<number>;
  /** The built `door-process.js`. */
  program: string;
  /** The folder of kept downloads. */
  downloads: string;
}

export class Doors {
  readonly #sandboxes: Sandboxes;
  readonly #options: DoorsOptions;
  readonly #open = new Map<string, Open>();
  readonly #questions = new Map<string, Questions>();
  readonly #watch: FileWatch;
  /** Whose door is about to start: what it reads is looked at before, so that no edit after goes unseen. */
  readonly #starting = new Set<string>();

  constructor(options: DoorsOptions) {
    this.#options = options;
    this.#sandboxes = options.sandboxes;
    this.#watch = new FileWatch(
      () => this.#handWritten(),
      () => void this.policyChanged(() => true).catch(() => {}),
    );
  }

  /** Keeps a door for this machine from now on. The guest is told whom to trust before its first program starts. */
  async open(sandbox: Sandbox, machine: Machine): Promise<void> {
    await this.#trust(sandbox, machine);
    await this.#tellSessions(sandbox, machine);
    this.keep(sandbox, machine);
  }

  /** For a machine that trusts already. */
  keep(sandbox: Sandbox, machine: Machine): void {
    const { id } = sandbox.record;
    if (this.#open.get(id)?.keeper.machine === machine) return;
    void this.#open.get(id)?.keeper.close();
    this.#watch.start();
    const questions = this.questions(id);
    const keeper = new DoorKeeper({
      machine,
      program: this.#options.program,
      questions,
      config: async () => {
        const files = doorFiles(this.#sandboxes.files(sandbox).folder);
        this.#starting.add(id);
        await this.#watch.look();
        return {
          type: 'config',
          name: sandbox.record.name,
          socket: machine.record.egress,
          namesFile: files.names,
          auditFile: files.audit,
          authority: await this.#authority(sandbox),
          rulesets: this.#rulesets(id, await this.#policy(sandbox)),
          secrets: await this.#options.secrets.bindingsFor(sandbox.record),
          ...(await waySettings()),
          closedHostPorts: [...this.#options.closedHostPorts],
          downloads: await downloadSettings(this.#options.downloads),
          idleMs: IDLE_MS,
        };
      },
      onFailure: (why) => void this.#sandboxes.journal(sandbox, 'door-failed', { why }).catch(() => {}),
    });
    this.#open.set(id, { keeper, policy: undefined });
    machine.once('gone', () => void this.#closeOf(id, machine));
  }

  /** Before its machine is ended. */
  async close(id: string): Promise<void> {
    const open = this.#open.get(id);
    this.#open.delete(id);
    this.#starting.delete(id);
    await open?.keeper.close();
  }

  async closeAll(): Promise<void> {
    this.#watch.stop();
    await Promise.all([...this.#open.keys()].map((id) => this.close(id)));
  }

  /** Those who watch stay through stops and starts. */
  questions(id: string): Questions {
    const questions = this.#questions.get(id) ?? new Questions();
    this.#questions.set(id, questions);
    return questions;
  }

  /** Of a sandbox that is no more. */
  forget(id: string): void {
    this.#questions.get(id)?.end();
    this.#questions.delete(id);
  }

  /** Of a door process, if one runs now. */
  pid(id: string): number | undefined {
    return this.#open.get(id)?.keeper.pid;
  }

  /** Tells running doors. Throws when the policy of one cannot be read; that one keeps what it had. */
  async policyChanged(concerns: (sandbox: Sandbox) => boolean): Promise<void> {
    const failures: unknown[] = [];
    for (const sandbox of this.#sandboxes.list().filter(concerns)) {
      const { id } = sandbox.record;
      const open = this.#open.get(id);
      if (!open) continue;
      try {
        open.policy = await policyOf(this.#sandboxes.layout, sandbox.record);
        open.keeper.usePolicy(this.#rulesets(id, open.policy));
      } catch (error) {
        failures.push(error);
        const why = WarrenError.from(error).message;
        await this.#sandboxes.journal(sandbox, 'policy-unusable', { why }).catch(() => {});
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /** Tells running doors, and guests for their next sessions. `root`: of one project; null: all. */
  async secretsChanged(root: string | null): Promise<void> {
    const concerned = this.#sandboxes
      .list()
      .filter(({ record }) => root === null || record.repository?.root === root);
    await Promise.all(
      concerned.map(async (sandbox) => {
        const keeper = this.#open.get(sandbox.record.id)?.keeper;
        if (!keeper) return;
        keeper.useSecrets(await this.#options.secrets.bindingsFor(sandbox.record));
        // One that does not answer now keeps the variables that it had: they hold nothing.
        if (sandbox.record.state === 'running')
          await this.#tellSessions(sandbox, keeper.machine).catch(() => {});
      }),
    );
  }

  async #tellSessions(sandbox: Sandbox, machine: Machine): Promise<void> {
    const { settings } = (await this.#options.templates.get(sandbox.record.template)).record;
    const env = { ...settings?.env, ...sandbox.record.env };
    await tellSessions(this.#options.secrets, sandbox, machine, env);
  }

  /** Somebody who can be asked has come or gone. */
  askingChanged(id: string): void {
    const open = this.#open.get(id);
    if (open?.policy) open.keeper.usePolicy(this.#rulesets(id, open.policy));
  }

  /** With somebody watching, what no rule allows is asked. */
  #rulesets(id: string, { rulesets }: EffectivePolicy) {
    const asks = this.questions(id).watched;
    const isAsked = rulesets.map((ruleset) => ({ ...ruleset, ask: ruleset.ask && asks }));
    return asks
      ? [{ source: 'session' as const, network: null, ask: true, profiles: null, rules: [] }, ...isAsked]
      : isAsked;
  }

  /** Of sandboxes whose door runs now: the next door reads them anyhow. */
  #handWritten(): string[] {
    const running = this.#sandboxes.list().filter(({ record: { id } }) => {
      if (this.pid(id) === undefined) return this.#starting.has(id);
      this.#starting.delete(id);
      return true;
    });
    if (running.length === 0) return [];
    const roots = running.flatMap(({ record }) => (record.repository ? [record.repository.root] : []));
    return [
      join(this.#sandboxes.layout.config, 'config.json'),
      ...roots.map((root) => join(root, 'warren.json')),
    ];
  }

  async #policy(sandbox: Sandbox): Promise<EffectivePolicy> {
    const open = this.#open.get(sandbox.record.id);
    try {
      const policy = await policyOf(this.#sandboxes.layout, sandbox.record);
      if (open) open.policy = policy;
      return policy;
    } catch (error) {
      if (open?.policy) return open.policy;
      throw error;
    }
  }

  async #authority({ record }: Sandbox): Promise<AuthorityPem> {
    const { layout } = this.#sandboxes;
    return record.repository
      ? await ensureAuthority(projectFiles(layout, record.repository.root).authority, 'Warren project')
      : await ensureAuthority(doorFiles(sandboxFiles(layout, record.id).folder).authority, 'Warren sandbox');
  }

  async #trust(sandbox: Sandbox, machine: Machine): Promise<void> {
    const [{ certificatePem }, link] = await Promise.all([this.#authority(sandbox), machine.link()]);
    await link.json('/warren/trust', {
      method: 'POST',
      body: { pem: certificatePem },
      timeoutMs: TRUST_TIMEOUT_MS,
    });
  }

  async #closeOf(id: string, machine: Machine): Promise<void> {
    if (this.#open.get(id)?.keeper.machine === machine) await this.close(id);
  }
}
