// Pieces of verdicts. Null: nothing to object to, ask the next.

import { sanitizeLine } from '../../protocol/sanitize.ts';
import type { AttackSight, Judged, VmmSight } from './sights.ts';

const MAX_SAID_CHARS = 200;

export const held: Judged = { outcome: 'held', says: '' };
export const broken = (says: string): Judged => ({
  outcome: 'broken',
  says: sanitizeLine(says, MAX_SAID_CHARS),
});
export const notRun = (says: string): Judged => ({
  outcome: 'not-run',
  says: sanitizeLine(says, MAX_SAID_CHARS),
});
export const notHeard = notRun('its program in the guest could not tell what it saw');

export function said(guest: AttackSight['guest']): Judged | null {
  return guest === null || Object.keys(guest).length === 0 ? notHeard : null;
}

export function first(
  guest: AttackSight['guest'],
  isBad: (key: string, value: unknown) => boolean,
): Judged | null {
  const bad = Object.entries(guest ?? {}).find(([key, value]) => isBad(key, value));
  return bad ? broken(`${bad[0]}: ${bad[1]}`) : null;
}

/** Neither an error of the guest's own kernel nor the door's no. */
export function isNoDenial(_key: string, value: unknown): boolean {
  const text = String(value);
  if (/^HTTP\/1\.[01] [45]\d\d /.test(text)) return !/warren/i.test(text);
  return !/^(?:[A-Z][A-Z0-9]+|closed|[A-Za-z]*(?:Error|timeout|gaierror)\b.*)$/.test(text);
}

export function reached({ canaryHits }: AttackSight): Judged | null {
  return canaryHits > 0 ? broken(`${canaryHits} connections reached a port of this computer`) : null;
}

/** No packet has ever been in the VMM's own network. */
export function silent(vmm: VmmSight): Judged {
  if (vmm.blind !== null || !vmm.boxed) return held;
  const noise = vmm.devices.filter((device) => device !== 'lo 0 0');
  return noise.length > 0 ? broken(`packets in the VMM’s network: ${noise.join(', ')}`) : held;
}
