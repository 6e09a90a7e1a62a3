// What a door knows of a secret: where it belongs, what stands for it in the guest, and where its value is found. Pure.

import type { Protocol, Target } from '../policy/verdict.ts';
import { parseShort } from '../policy/where.ts';

/** Where a value comes from. `value` and `missing` are what the daemon says of `env:` and of asked ones. */
export type SecretSource =
  | { kind: 'value'; value: string }
  | { kind: 'file'; path: string }
  /** For `sh -c`, with this environment. */
  | { kind: 'cmd'; command: string; env: Readonly<Record<string, string>> }
  /** Why, as the end of a sentence. */
  | { kind: 'missing'; why: string };

export interface SecretBinding {
  name: string;
  /** `api.example.com`, `*.example.com`, each with `:port` or without (then 443); see `hostObjection`. */
  hosts: readonly string[];
  placeholder: string;
  source: SecretSource;
  query: boolean;
  body: boolean;
}

const MAX_VALUE_BYTES = 8 * 1024;
const DEFAULT_PORT = 443;

/** Why this is no host of a secret; null when it is one. */
export function hostObjection(text: string): { refused: string; remedy: string } | null {
  const found = parseShort(text, 'allow');
  if ('refused' in found) return found;
  return found.where.kind === 'cidr'
    ? { refused: 'a secret belongs to a name, not to an address', remedy: 'name the host' }
    : null;
}

/** Whether the secret belongs there; without a port, to any of the host. What cannot be read belongs nowhere. */
export function belongsTo(
  hosts: readonly string[],
  { host, port }: Pick<Target, 'host'> & Partial<Target>,
): boolean {
  if (host.kind !== 'name') return false;
  return hosts.some((text) => {
    const found = parseShort(text, 'allow');
    if ('refused' in found || (port !== undefined && port !== (found.port ?? DEFAULT_PORT))) return false;
    const { where } = found;
    if (where.kind === 'name') return host.name === where.name;
    return where.kind === 'under' && host.name.endsWith(`.${where.suffix}`);
  });
}

/** Why this value is never sent, as the end of a sentence without the value; null when it may be. */
export function valueObjection(value: string): string | null {
  if (value === '') return 'its value is empty';
  if (Buffer.byteLength(value) > MAX_VALUE_BYTES) return 'its value is longer than 8 KiB';
  if (/[\x00-\x1f\x7f]/.test(value)) return 'its value has line breaks or control characters';
  return null;
}

/** What a binding means for one request; null when the secret may be put in. */
export function objection(
  { name, hosts }: Pick<SecretBinding, 'name' | 'hosts'>,
  target: Target,
  protocol: Protocol,
  allowed: readonly string[] | null,
): string | null {
  if (protocol !== 'https') return `the placeholder of secret "${name}" may only travel over https`;
  if (!belongsTo(hosts, target))
    return `the placeholder of secret "${name}" does not belong here: the secret is for ${hosts.join(', ')}`;
  if (allowed && !allowed.includes(name)) return `the rule does not let secret "${name}" be put in`;
  return null;
}
