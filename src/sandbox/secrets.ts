// Which secrets there are, and what stands for each in each sandbox. On disk: references and placeholders. Values that
// only the CLI can tell (`env:`, asked) are in memory; a daemon that starts anew has none until they are told again.

import { belongsTo, type SecretBinding, type SecretSource } from '../egress/secret/binding.ts';
import { makePlaceholder, shapeFor } from '../egress/secret/placeholder.ts';
import { WarrenError } from '../protocol/error.ts';
import type { SecretAddRequest, SecretView } from '../protocol/secret.ts';
import { commandEnvironment } from './command-environment.ts';
import { checkSecret, checkValue } from './secret-check.ts';
import {
  readPlaceholders,
  readSecrets,
  type StoredSecret,
  writePlaceholders,
  writeSecrets,
} from './secret-files.ts';

/** What is asked of a sandbox's record. */
export interface SecretsOf {
  id: string;
  repository: { root: string } | null;
}

export interface SecretPaths {
  store: string;
  placeholders(sandboxId: string): string;
}

/** `root`: of the project that it concerns; null for all. */
export type OnSecretsChanged = (root: string | null) => void | Promise<void>;

const MAX_SECRETS = 256;
/** Where `git` may push and fetch with a password. */
const GIT_HOSTS = ['github.com', 'gitlab.com', 'codeberg.org', 'bitbucket.org'];

export class SecretKeeper {
  readonly #paths: SecretPaths;
  readonly #variables = new Map<string, string>();
  readonly #asked = new Map<string, string>();
  readonly #listeners = new Set<OnSecretsChanged>();
  /** By sandbox. */
  readonly #lent = new Map<string, StoredSecret>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(paths: SecretPaths) {
    this.#paths = paths;
  }

  /** Called after each change that running doors must be told, which is not done before they are. */
  onChanged(listener: OnSecretsChanged): void {
    this.#listeners.add(listener);
  }

  async list(): Promise<SecretView[]> {
    return (await readSecrets(this.#paths.store)).map((secret) => ({
      ...secret,
      like: shapeFor(secret.hosts, secret.like),
      known: this.#source(secret).kind === 'value' || (isTold(secret.from) ? false : null),
    }));
  }

  /** `root`: of the repository at `request.path`. Answers whether there was one of this name. */
  async add(request: SecretAddRequest, root: string | null): Promise<{ replaced: boolean }> {
    const answer = await this.#exclusively(async () => {
      const before = await readSecrets(this.#paths.store);
      const secret = checkSecret(request, root, before);
      const others = before.filter((each) => keyOf(each) !== keyOf(secret));
      if (others.length >= MAX_SECRETS)
        throw new WarrenError({
          code: 'secret.too-many',
          message: `cannot add secret "${secret.name}": there are ${MAX_SECRETS} already`,
          remedy: 'warren secret ls, then: warren secret rm NAME',
        });
      if (request.value !== null) checkValue(secret.name, request.value);
      await writeSecrets(this.#paths.store, [...others, secret]);
      this.#asked.delete(keyOf(secret));
      if (request.value !== null) {
        if (secret.from === null) this.#asked.set(keyOf(secret), request.value);
        else this.#variables.set(secret.from.slice('env:'.length), request.value);
      }
      return { replaced: others.length < before.length };
    });
    await this.#tell(root);
    return answer;
  }

  /** Throws `secret.not-found`. */
  async remove(name: string, root: string | null): Promise<void> {
    await this.#exclusively(async () => {
      const before = await readSecrets(this.#paths.store);
      const rest = before.filter((each) => keyOf(each) !== keyOf({ name, root }));
      if (rest.length === before.length) {
        const other = before.find((each) => each.name === name);
        throw new WarrenError({
          code: 'secret.not-found',
          message: `there is no secret "${name}" ${root === null ? 'for all sandboxes' : `of ${root}`}`,
          remedy:
            other?.root === null
              ? `warren secret rm --global ${name}`
              : 'warren secret ls tells which there are',
        });
      }
      await writeSecrets(this.#paths.store, rest);
      this.#asked.delete(keyOf({ name, root }));
      for (const variable of this.#variables.keys())
        if (!rest.some(({ from }) => from === `env:${variable}`)) this.#variables.delete(variable);
    });
    await this.#tell(root);
  }

  /** To one sandbox, in memory: no host is its own. Answers its placeholder; running doors are not told. */
  async lend(id: string, variable: string, value: string): Promise<string> {
    const common = { from: null, like: null, query: false, body: false };
    const secret = { ...common, name: variable, variable, root: `lent:${id}`, hosts: ['lent.invalid'] };
    this.#lent.set(id, secret);
    this.#asked.set(keyOf(secret), value);
    const bindings = await this.bindingsFor({ id, repository: null });
    return bindings.find(({ name }) => name === variable)!.placeholder;
  }

  takeBack(id: string): void {
    const secret = this.#lent.get(id);
    this.#lent.delete(id);
    if (secret) this.#asked.delete(keyOf(secret));
  }

  /** The variables that the CLI should tell, when it has them. */
  async wanted(): Promise<string[]> {
    const secrets = await readSecrets(this.#paths.store);
    return [
      ...new Set(
        secrets.flatMap(({ from }) => (from?.startsWith('env:') ? [from.slice('env:'.length)] : [])),
      ),
    ];
  }

  /** Others than the wanted ones are not kept. */
  async tellValues(values: Readonly<Record<string, string>>): Promise<void> {
    let changed = false;
    for (const variable of await this.wanted()) {
      const value = Object.hasOwn(values, variable) ? values[variable] : undefined;
      if (value === undefined || this.#variables.get(variable) === value) continue;
      this.#variables.set(variable, value);
      changed = true;
    }
    if (changed) await this.#tell(null);
  }

  /** Those of one sandbox, each with its placeholder. A project's comes before one of the same name for all. */
  bindingsFor(record: SecretsOf): Promise<SecretBinding[]> {
    return this.#exclusively(async () => {
      const concerned = await this.#concerning(record);
      const placeholders = await this.#placeholders(record.id, concerned);
      return concerned.map((secret) => ({
        name: secret.name,
        hosts: secret.hosts,
        placeholder: placeholders.get(keyOf(secret))!,
        source: this.#source(secret),
        query: secret.query,
        body: secret.body,
      }));
    });
  }

  /** For the sessions of a guest: `{ GITHUB_TOKEN: placeholder }`. */
  secretEnvironment(record: SecretsOf): Promise<Record<string, string>> {
    return this.#exclusively(async () => {
      const concerned = await this.#concerning(record);
      const placeholders = await this.#placeholders(record.id, concerned);
      // The project's come last: a variable that one for all has too is theirs.
      return Object.fromEntries(
        concerned.reverse().map((secret) => [secret.variable, placeholders.get(keyOf(secret))!]),
      );
    });
  }

  /** Git hosts, and the variable of the guest that holds what stands for the password. */
  async gitCredentials(record: SecretsOf): Promise<{ host: string; variable: string }[]> {
    const concerned = await this.#concerning(record);
    return GIT_HOSTS.flatMap((name) => {
      const found = concerned.find(({ hosts }) =>
        belongsTo(hosts, { host: { kind: 'name', name }, port: 443 }),
      );
      return found ? [{ host: name, variable: found.variable }] : [];
    });
  }

  async #concerning({ id, repository }: SecretsOf): Promise<StoredSecret[]> {
    const secrets = await readSecrets(this.#paths.store);
    const lent = this.#lent.get(id);
    const own = secrets.filter(({ root }) => root !== null && root === repository?.root);
    if (lent) own.push(lent);
    const names = new Set(own.map(({ name }) => name));
    return [...own, ...secrets.filter(({ root, name }) => root === null && !names.has(name))];
  }

  async #placeholders(id: string, secrets: readonly StoredSecret[]): Promise<Map<string, string>> {
    const file = this.#paths.placeholders(id);
    const known = await readPlaceholders(file);
    let made = false;
    for (const secret of secrets) {
      const shape = shapeFor(secret.hosts, secret.like);
      const before = known.get(keyOf(secret));
      if (before?.startsWith(shape) && before.length === shape.length + 32) continue;
      known.set(keyOf(secret), makePlaceholder(shape));
      made = true;
    }
    if (made) await writePlaceholders(file, known);
    return known;
  }

  #source(secret: StoredSecret): SecretSource {
    const { from, name } = secret;
    if (from === null) {
      const value = this.#asked.get(keyOf(secret));
      const why = `its value was held by a daemon that has ended: warren secret add ${name} … again`;
      return value === undefined ? { kind: 'missing', why } : { kind: 'value', value };
    }
    if (from.startsWith('file:')) return { kind: 'file', path: from.slice('file:'.length) };
    if (from.startsWith('cmd:')) {
      return { kind: 'cmd', command: from.slice('cmd:'.length), env: commandEnvironment() };
    }
    const variable = from.slice('env:'.length);
    const value = this.#variables.get(variable);
    const why = `the variable ${variable} was not set where warren up, run or start was last run; on the host: export ${variable}=…, then warren start NAME`;
    return value === undefined ? { kind: 'missing', why } : { kind: 'value', value };
  }

  async #tell(root: string | null): Promise<void> {
    for (const listener of this.#listeners) await listener(root);
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work, work);
    this.#turn = mine.catch(() => {});
    return await mine;
  }
}

function isTold(from: string | null): boolean {
  return from === null || from.startsWith('env:');
}

function keyOf({ name, root }: Pick<StoredSecret, 'name' | 'root'>): string {
  return `${root === null ? 'all' : 'project'}:${root ?? ''}:${name}`;
}
