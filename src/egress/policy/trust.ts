// How far a repository's own policy is followed. What a person trusted counts; a change of it may only take away
// until it is trusted again. Pure.

import { canonical } from './canonical.ts';
import type { Entry, Network } from './rule.ts';

/** The two keys of a `warren.json`, as they came out of it. */
export interface PolicyKeys {
  network?: unknown;
  egress?: unknown;
}

export interface Followed {
  /** What counts of it, in the same shape. */
  keys: PolicyKeys;
  /** `new`: it asks for more than it gets, and nothing of it was ever trusted. `changed`: for more than what was. */
  state: 'absent' | 'trusted' | 'new' | 'changed';
}

interface Lists {
  allow: Entry[];
  deny: Entry[];
  profiles: string[];
  ask: boolean;
}

const STRICTNESS: Network[] = ['none', 'mediated', 'open'];

/**
 * `now` was checked by `parsePolicy`; `fitting` are the profiles that a repository without a policy gets, so they may
 * be asked for without trust.
 */
export function followed(now: PolicyKeys, trusted: PolicyKeys | null, fitting: readonly string[]): Followed {
  if (!trusted && now.network === undefined && now.egress === undefined) return { keys: {}, state: 'absent' };
  if (trusted && canonical(now) === canonical(trusted)) return { keys: now, state: 'trusted' };
  const network = stricter(networkOf(now), networkOf(trusted ?? {}));
  const egress =
    now.egress === undefined && trusted?.egress === undefined
      ? null
      : narrowed(
          lists(now.egress),
          trusted ? lists(trusted.egress) : { ...lists({}), profiles: [...fitting] },
        );
  const isWhole =
    network === networkOf(now) && (egress === null || (egress.isWhole && now.egress !== undefined));
  return {
    keys: {
      ...(network !== 'mediated' && { network }),
      ...(egress && { egress: network === 'none' ? { deny: egress.lists.deny } : egress.lists }),
    },
    state: isWhole ? 'trusted' : trusted ? 'changed' : 'new',
  };
}

/** What both allow, and what either denies. */
function narrowed(now: Lists, before: Lists): { lists: Lists; isWhole: boolean } {
  const kept = new Set(before.allow.map(canonical));
  const allow = now.allow.filter((entry) => kept.has(canonical(entry)));
  const profiles = now.profiles.filter((name) => before.profiles.includes(name));
  const deny = new Map([...before.deny, ...now.deny].map((entry) => [canonical(entry), entry]));
  const ask = now.ask && before.ask;
  const isWhole =
    allow.length === now.allow.length &&
    profiles.length === now.profiles.length &&
    deny.size === new Set(now.deny.map(canonical)).size &&
    ask === now.ask;
  return { lists: { allow, deny: [...deny.values()], profiles, ask }, isWhole };
}

function networkOf({ network, egress }: PolicyKeys): Network {
  const profiles = ((egress ?? {}) as { profiles?: string[] | null }).profiles ?? [];
  if (network === 'none' || profiles.includes('none')) return 'none';
  return network === 'open' || profiles.includes('open') ? 'open' : 'mediated';
}

function stricter(a: Network, b: Network): Network {
  return STRICTNESS[Math.min(STRICTNESS.indexOf(a), STRICTNESS.indexOf(b))]!;
}

function lists(egress: unknown): Lists {
  const { allow, deny, profiles, ask } = (egress ?? {}) as Record<string, unknown>;
  return {
    allow: (allow as Entry[] | undefined) ?? [],
    deny: (deny as Entry[] | undefined) ?? [],
    profiles: ((profiles as string[] | undefined) ?? []).filter((name) => name !== 'none' && name !== 'open'),
    ask: ask === true,
  };
}
