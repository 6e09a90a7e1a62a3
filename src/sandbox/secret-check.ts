// What a secret may be, checked before it is kept. Pure.

import { hostObjection, valueObjection } from '../egress/secret/binding.ts';
import { isShape } from '../egress/secret/placeholder.ts';
import { WarrenError } from '../protocol/error.ts';
import type { SecretAddRequest } from '../protocol/secret.ts';
import type { StoredSecret } from './secret-files.ts';
import { variableObjection } from './secret-variable.ts';

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const ITS_LETTERS = 'letters, digits and _, at most 64, and begins with no digit';
const MAX_HOSTS = 16;

/** Throws `usage.secret`. `all`: those that there are. */
export function checkSecret(
  request: SecretAddRequest,
  root: string | null,
  all: readonly StoredSecret[],
): StoredSecret {
  const { name, hosts, from, like, query, body } = request;
  const variable = request.variable ?? name;
  if (!NAME.test(name))
    throw wrong(
      `cannot add secret ${JSON.stringify(name.slice(0, 64))}: a name has ${ITS_LETTERS}`,
      'warren secret add GITHUB_TOKEN --host api.github.com',
    );
  if (!NAME.test(variable))
    throw wrong(
      `cannot add secret "${name}" with --env-name ${JSON.stringify(variable.slice(0, 64))}: a variable has ${ITS_LETTERS}`,
      `warren secret add ${name} … --env-name ${name}`,
    );
  const others = all.filter((each) => each.name !== name || each.root !== root);
  const taken = variableObjection({ name, variable, root }, others);
  if (taken)
    throw wrong(
      `cannot add secret "${name}": ${taken.why}`,
      `give it another variable: warren secret add ${name} … --env-name ${taken.other}`,
    );
  if (hosts.length === 0 || hosts.length > MAX_HOSTS)
    throw wrong(
      `cannot add secret "${name}": it needs 1 to ${MAX_HOSTS} hosts`,
      `warren secret add ${name} --host api.example.com`,
    );
  for (const host of hosts) {
    const objection = hostObjection(host);
    if (objection)
      throw wrong(
        `cannot bind secret "${name}" to ${JSON.stringify(host.slice(0, 255))}: ${objection.refused}`,
        // In a file of rules it would be written otherwise.
        /[{}]|"network"/.test(objection.remedy)
          ? `name its host: warren secret add ${name} --host api.example.com`
          : objection.remedy,
      );
  }
  if (like !== null && !isShape(like))
    throw wrong(
      `cannot add secret "${name}": --like is 1 to 16 letters, digits, _ and -`,
      `warren secret add ${name} --host ${hosts[0]} --like wrn_`,
    );
  if (from !== null) checkSource(name, from);
  return { name, root, hosts, from, like, variable, query, body };
}

/** Throws `usage.secret`, which does not tell the value. */
export function checkValue(name: string, value: string): void {
  const objection = valueObjection(value);
  if (objection)
    throw wrong(`cannot use secret "${name}": ${objection}`, `warren secret add ${name} … again`);
}

function checkSource(name: string, from: string): void {
  const [, kind, rest] = /^(env|file|cmd):(.+)$/s.exec(from) ?? [];
  // What was given is not repeated: it may be the value itself.
  if (kind === undefined)
    throw wrong(
      `cannot add secret "${name}": --from is env:VARIABLE, file:PATH or cmd:COMMAND`,
      `warren secret add ${name} --host … --from env:${name}`,
    );
  if (/[\x00-\x1f\x7f]/.test(rest!) || rest!.length > 4096)
    throw wrong(
      `cannot add secret "${name}": --from is not one line of at most 4096 characters`,
      'shorten it',
    );
  if (kind === 'env' && !NAME.test(rest!))
    throw wrong(`cannot add secret "${name}": --from env: names no variable`, `--from env:${name}`);
  if (kind === 'file' && !rest!.startsWith('/'))
    throw wrong(`cannot add secret "${name}": the path of --from file: is not absolute`, `--from file:/…`);
}

function wrong(message: string, remedy: string): WarrenError {
  return new WarrenError({ code: 'usage.secret', message, remedy });
}
