// `warren secret add`, `ls`, `rm`. A value is read where the user is, goes to the daemon's memory, and is never shown.

import { lstatSync } from 'node:fs';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { addSecret, listSecrets, removeSecret } from '../../client/secrets.ts';
import { WarrenError } from '../../protocol/error.ts';
import { askHidden } from '../ask-hidden.ts';
import { withClient } from '../context.ts';
import { SECRET_HEAD, secretRemedy, secretRow } from '../secret-lines.ts';
import { dim, print, printJson, say } from '../terminal.ts';
import { table } from './ls.ts';

interface AddFlags {
  host: string[];
  from?: string;
  like?: string;
  envName?: string;
  query?: boolean;
  body?: boolean;
  global?: boolean;
}

export async function add(name: string, flags: AddFlags): Promise<void> {
  const from = flags.from === undefined ? null : absolute(flags.from);
  if (from?.startsWith('file:')) checkFile(name, from.slice('file:'.length));
  const value = from === null ? await askHidden(`value of ${name}: `) : fromEnvironment(name, from);
  const { replaced } = await withClient((client) =>
    addSecret(client.transport, {
      name,
      path: flags.global ? null : process.cwd(),
      hosts: flags.host,
      from,
      value,
      like: flags.like ?? null,
      variable: flags.envName ?? null,
      query: flags.query === true,
      body: flags.body === true,
    }),
  );
  const whose = flags.global ? 'all sandboxes' : 'the sandboxes of this repository';
  say(
    `${replaced ? 'replaced' : 'added'} secret "${name}" for ${whose}; in new sessions, $${flags.envName ?? name} stands for it`,
  );
  if (from === null)
    say(dim('its value is in the daemon’s memory only: add it again after the daemon was restarted'));
}

export async function ls(flags: { json?: boolean }): Promise<void> {
  const secrets = await withClient((client) => listSecrets(client.transport));
  if (flags.json) return printJson(secrets);
  if (secrets.length === 0) return say(dim('no secrets; add one with: warren secret add NAME --host HOST'));
  print(table(SECRET_HEAD, secrets.map(secretRow)));
  for (const remedy of secrets.map(secretRemedy)) if (remedy !== null) say(remedy);
}

export async function rm(name: string, flags: { global?: boolean }): Promise<void> {
  await withClient((client) => removeSecret(client.transport, name, flags.global ? null : process.cwd()));
  say(`removed secret "${name}"; what stood for it in sandboxes is worth nothing now`);
}

/** `file:` may be relative or begin with `~/`. */
function absolute(from: string): string {
  if (!from.startsWith('file:')) return from;
  const path = from.slice('file:'.length).replace(/^~(?=\/)/, homedir());
  return `file:${resolve(path)}`;
}

/** The door reads it later, and refuses these then: a slip is better told now. */
function checkFile(name: string, path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  const [why, remedy] = !found
    ? ['there is no such file', 'look at its path']
    : !found.isFile()
      ? ['it is not a regular file', 'name the file itself']
      : found.mode & 0o077
        ? ['others may read it', `chmod 600 ${path}`]
        : [null, ''];
  if (why === null) return;
  throw new WarrenError({
    code: 'usage.secret',
    message: `cannot add secret "${name}" from ${path}: ${why}`,
    remedy,
  });
}

function fromEnvironment(name: string, from: string): string | null {
  if (!from.startsWith('env:')) return null;
  const variable = from.slice('env:'.length);
  const value = process.env[variable];
  if (value !== undefined && value !== '') return value;
  throw new WarrenError({
    code: 'usage.secret',
    message: `cannot add secret "${name}": the variable ${JSON.stringify(variable.slice(0, 64))} is not set here`,
    remedy: `export ${/^\w+$/.test(variable) ? variable : name}=…, then the command again`,
  });
}
