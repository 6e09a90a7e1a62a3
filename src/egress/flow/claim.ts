// What a guest says about the process behind a flow (hostile): kept for the records, never used to decide.

import { sanitizeLine } from '../../protocol/sanitize.ts';
import type { GuestClaim } from '../audit/event.ts';

const MAX_COMM_CHARS = 64;
const MAX_CMDLINE_CHARS = 512;
const MAX_ID = 2 ** 32;

/** Base64 of JSON; null when it is none. */
export function parseClaim(header: unknown, maxBytes: number): GuestClaim | null {
  if (typeof header !== 'string' || header.length > maxBytes) return null;
  let told: unknown;
  try {
    told = JSON.parse(Buffer.from(header, 'base64').toString('utf8'));
  } catch {
    return null;
  }
  if (typeof told !== 'object' || told === null) return null;
  const { pid, uid, comm, cmdline } = told as Record<string, unknown>;
  return {
    ...(isId(pid) && { pid }),
    ...(isId(uid) && { uid }),
    ...(typeof comm === 'string' && { comm: sanitizeLine(comm, MAX_COMM_CHARS) }),
    ...(typeof cmdline === 'string' && { cmdline: sanitizeLine(cmdline, MAX_CMDLINE_CHARS) }),
  };
}

function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < MAX_ID;
}
