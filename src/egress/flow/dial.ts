// Connects to where a rule lets a flow go: resolve once, vet every answer, dial a vetted address as it is. What a name
// server answers is hostile. Nothing here looks a name up a second time. Limits: 5 s to resolve, 10 s to connect,
// 4 addresses tried.

import type { Socket } from 'node:net';
import { isLoopback } from '../names/address.ts';
import { hostText } from '../names/canonical-host.ts';
import { vetAddresses } from '../names/vetting.ts';
import { closedReason } from '../policy/reason.ts';
import { HOST_SERVICE_NAME } from '../policy/rule.ts';
import type { Grant, Target } from '../policy/verdict.ts';
import type { DoorLimits, DoorParts } from './parts.ts';
import type { Reading } from './pieces.ts';
import { dialThrough } from './upstream-proxy.ts';

export type DialParts = Pick<
  DoorParts,
  'resolve' | 'ownAddresses' | 'connect' | 'policy' | 'upstreamProxy' | 'closedHostPorts'
>;

export type Dialed =
  /** `read`: what the socket reads goes to the `reading` that was given. */
  | { socket: Socket; address: string; isRead?: boolean }
  /**
   * `denied`: no address may be dialed; `isPrivate`: a rule for private ones would do; `isHere`: one for a service of this
   * computer, under its own name. `failed`: the network says no. One line, safe to print.
   */
  | { denied: string; ruleId: string | null; isPrivate?: boolean; isHere?: boolean }
  | { failed: string };

const MAX_TRIED = 4;
const LOOPBACK = '127.0.0.1';

export async function dial(
  parts: DialParts,
  limits: DoorLimits,
  target: Target,
  grant: Grant,
  reading?: Reading,
): Promise<Dialed> {
  const closed = {
    denied: closedReason(target.port),
    ruleId: null,
  };
  const isClosed = parts.closedHostPorts?.includes(grant.hostService ?? target.port);
  if (grant.hostService !== undefined && isClosed) return closed;
  if (grant.hostService !== undefined)
    return connectTo(parts, limits, [LOOPBACK], grant.hostService, hostText(target.host), reading);
  const what = hostText(target.host);
  // What a name resolves to is not known here then: the user has chosen that.
  if (parts.upstreamProxy && target.host.kind === 'name')
    return await dialThrough(parts.upstreamProxy, `${what}:${target.port}`, limits.connectMs);
  const found =
    target.host.kind === 'name' ? await resolve(parts, limits, target.host.name) : [target.host.address];
  if (found === null) return { failed: `${what} could not be resolved` };
  const vetted = vetAddresses(found, {
    allowPrivate: grant.allowPrivate,
    ownAddresses: parts.ownAddresses(),
    ...(grant.exactAddress !== undefined && { exactAddress: grant.exactAddress }),
  });
  const first = vetted.refused[0];
  if (vetted.usable.length === 0) {
    const why = first ? `${first.address} may not be dialed: ${first.why}` : 'it has no addresses';
    const isPrivate = !grant.allowPrivate && vetAddresses(found, privately(parts)).usable.some(isElsewhere);
    const isHere = !isClosed && found.length > 0 && !found.some(isElsewhere);
    const way = isHere
      ? `; a service of this computer is reached as ${HOST_SERVICE_NAME}:${target.port}`
      : '';
    return { denied: `${what}: ${why}${way}`, ruleId: null, isPrivate, isHere };
  }
  const policy = parts.policy();
  const usable: string[] = [];
  let objection: Dialed | null = null;
  for (const address of vetted.usable) {
    const denied = policy.judgeAddress(target, address);
    if (denied) objection ??= { denied: denied.reason, ruleId: denied.ruleId };
    else usable.push(address);
  }
  if (usable.length === 0) return objection!;
  if (isClosed && !usable.every(isElsewhere)) return closed;
  if (parts.upstreamProxy)
    return await dialThrough(parts.upstreamProxy, `${what}:${target.port}`, limits.connectMs);
  // IPv4 first: a host without a way to IPv6 is common, and its packets may vanish.
  usable.sort((a, b) => Number(a.includes(':')) - Number(b.includes(':')));
  return connectTo(parts, limits, usable.slice(0, MAX_TRIED), target.port, what, reading);
}

function privately({ ownAddresses }: DialParts) {
  return { allowPrivate: true, ownAddresses: ownAddresses() };
}

function isElsewhere(address: string): boolean {
  return !isLoopback(address);
}

/** What makes two dials the same: a connection made under one grant is not used under another. */
export function grantKey({ allowPrivate, hostService, exactAddress }: Grant): string {
  return `${allowPrivate ? 'private' : 'public'}|${hostService ?? ''}|${exactAddress ?? ''}`;
}

async function resolve(
  { resolve: ask }: DialParts,
  { resolveMs }: DoorLimits,
  name: string,
): Promise<readonly string[] | null> {
  const late = Promise.withResolvers<null>();
  const timer = setTimeout(() => late.resolve(null), resolveMs);
  try {
    return await Promise.race([ask(name), late.promise]);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

async function connectTo(
  { connect }: DialParts,
  { connectMs }: DoorLimits,
  addresses: readonly string[],
  port: number,
  what: string,
  reading?: Reading,
): Promise<Dialed> {
  const each = connectMs / addresses.length;
  let why = '';
  for (const address of addresses) {
    const socket = connect(address, port, reading);
    const failure = await connected(socket, each);
    if (failure === null) return { socket, address, ...(reading && { isRead: true }) };
    socket.destroy();
    why = failure;
  }
  return { failed: `${what}:${port} could not be reached: ${why}` };
}

/** Null once it is; else why not. */
function connected(socket: Socket, timeoutMs: number): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  // Stays: a connection that breaks later tells whoever reads it by closing.
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'it was refused'));
  if (!socket.connecting) {
    resolve(socket.destroyed ? 'it was closed' : null);
    return promise;
  }
  const timer = setTimeout(() => resolve('no answer in time'), timeoutMs);
  socket.once('connect', () => resolve(null));
  socket.once('close', () => resolve('it was closed'));
  return promise.finally(() => clearTimeout(timer));
}
