// The network of a sandbox in words. Pure.

import type { NetworkView } from '../protocol/api.ts';
import { sanitizeLine } from '../protocol/sanitize.ts';
import { plural } from './terminal.ts';

/** Whether a repository's own policy counts less than it says; null when it counts as it stands. One line. */
export function waitsForTrust({ trust }: Pick<NetworkView, 'trust'>, name: string): string | null {
  if (trust === 'new') return `warren.json asks for more network than it gets: warren policy trust ${name}`;
  // More may be that it denies less, or no more says "none".
  return trust === 'changed'
    ? `warren.json has changed: what it allows more or denies less than before waits for your trust: warren policy trust ${name}`
    : null;
}

/** One line. */
export function describeNetwork(network: NetworkView, name: string): string {
  if (network.broken !== null) {
    const now = network.mode === 'none' ? 'none' : 'as its door last understood it, until that ends';
    return `network: ${now}, because the policy cannot be used: ${sanitizeLine(network.broken)}`;
  }
  if (network.mode === 'none') return 'network: none';
  if (network.mode === 'open') return 'network: OPEN to all public hosts (everything is in the audit)';
  const what = [
    ...(network.profiles.length > 0 ? [network.profiles.map((each) => sanitizeLine(each)).join(', ')] : []),
    ...(network.rules > 0 ? [plural(network.rules, 'rule')] : []),
  ];
  return `network: only what is allowed: ${what.join(' and ') || 'nothing'} (warren policy show ${name})`;
}
