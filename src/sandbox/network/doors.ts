// The doors of all sandboxes: opened with a machine, closed with it, told when a policy has changed.

import { join } from 'node:path';
import type { DoorConfig } from '../../egress/door/messages.ts';
import { doorFiles } from '../../host/layout.ts';
import type { Machine } from '../../machine/machine.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { Sandbox, Sandboxes } from '../sandboxes.ts';
import type { SecretKeeper } from '../secrets.ts';
import type { Templates } from '../templates.ts';
import { authorityOf } from './authority.ts';
import { type InForce, isSameWay, nothingInForce, readInForce } from './in-force.ts';
import { DoorKeeper } from './keeper.ts';
import type { EffectivePolicy } from './policy.ts';
import { Questions } from './questions.ts';
import { tellSessions } from './sessions.ts';
import { FileWatch } from './watch-files.ts';

const IDLE_MS = 60_000;
const TRUST_TIMEOUT_MS = 30_000;

interface Open {
  keeper: DoorKeeper;
  /** By what its door goes; kept when what comes later cannot be read. */
  inForce: InForce | undefined;
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
        const { policy, way, secrets } = await this.#begin(sandbox);
        return {
          type: 'config',
          name: sandbox.record.name,
          socket: machine.record.egress,
          namesFile: files.names,
          auditFile: files.audit,
          authority: await authorityOf(this.#sandboxes.layout, sandbox.record),
          rulesets: this.#rulesets(id, policy),
          secrets,
          ...way,
          closedHostPorts: [...this.#options.closedHostPorts],
          idleMs: IDLE_MS,
        };
      },
      onFailure: (why) => void this.#sandboxes.journal(sandbox, 'door-failed', { why }).catch(() => {}),
    });
    this.#open.set(id, { keeper, inForce: undefined });
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

  /** Of the door that runs now; null while there is none. */
  inForce(id: string): EffectivePolicy | null {
    return this.pid(id) === undefined ? null : (this.#open.get(id)?.inForce?.policy ?? null);
  }

  /** Tells running doors. Throws when the policy of one cannot be read; that one keeps what it had. */
  async policyChanged(concerns: (sandbox: Sandbox) => boolean): Promise<void> {
    const failures: unknown[] = [];
    for (const sandbox of this.#sandboxes.list().filter(concerns)) {
      const { id } = sandbox.record;
      const open = this.#open.get(id);
      if (!open) continue;
      try {
        const before = open.inForce;
        open.inForce = await this.#read(sandbox);
        // A process has one way out.
        if (before && !isSameWay(before.way, open.inForce.way)) open.keeper.restart();
        else open.keeper.usePolicy(this.#rulesets(id, open.inForce.policy));
      } catch (error) {
        failures.push(error);
        await this.#tellUnusable(sandbox, error);
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
    if (open?.inForce) open.keeper.usePolicy(this.#rulesets(id, open.inForce.policy));
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

  /** Of a door that starts: what an earlier one remembered is over. */
  async #begin(sandbox: Sandbox): Promise<InForce & Pick<DoorConfig, 'secrets'>> {
    const { record } = sandbox;
    const begun = await Promise.all([this.#read(sandbox), this.#options.secrets.bindingsFor(record)]).catch(
      async (error: unknown) => {
        await this.#tellUnusable(sandbox, error);
        return [nothingInForce(record.name), []] as const;
      },
    );
    const [inForce, secrets] = begun;
    const open = this.#open.get(record.id);
    if (open) open.inForce = inForce;
    return { ...inForce, secrets };
  }

  async #read({ record }: Sandbox): Promise<InForce> {
    return await readInForce(this.#sandboxes.layout, record, this.#options.downloads);
  }

  async #tellUnusable(sandbox: Sandbox, error: unknown): Promise<void> {
    const why = WarrenError.from(error).message;
    await this.#sandboxes.journal(sandbox, 'policy-unusable', { why }).catch(() => {});
  }

  async #trust(sandbox: Sandbox, machine: Machine): Promise<void> {
    const [{ certificatePem }, link] = await Promise.all([
      authorityOf(this.#sandboxes.layout, sandbox.record),
      machine.link(),
    ]);
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
