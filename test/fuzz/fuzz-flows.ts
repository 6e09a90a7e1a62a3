// Flows to `api.example` for targets that are a front of HTTP: the guest's end is a real socket, the origin whoever
// listens at a port of loopback, and TLS is left out: it is not what is looked at.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { AuditEvent } from '../../src/egress/audit/event.ts';
import { connectTcp } from '../../src/egress/flow/connect.ts';
import type { Door, FlowContext } from '../../src/egress/flow/context.ts';
import { DOOR_LIMITS, type DoorParts } from '../../src/egress/flow/parts.ts';
import { Places } from '../../src/egress/flow/places.ts';
import type { HttpFlow } from '../../src/egress/http/http-flow.ts';
import { Origins } from '../../src/egress/http/origins.ts';
import { SyntheticNames } from '../../src/egress/names/synthetic.ts';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import { PieceLimit } from '../../src/host/limit-pieces.ts';
import { readRequests } from '../egress/strict-origin.ts';

export const LATE_MS = 10_000;
const HOST = 'api.example';

export interface FuzzFlow {
  /** The guest's end, and the door's. */
  theirs: Socket;
  ours: Socket;
  door: Door;
  http: HttpFlow;
}

const pairing = createServer({ allowHalfOpen: true });
pairing.listen(0, '127.0.0.1').unref();
await once(pairing, 'listening');

export class FuzzFlows {
  #events: AuditEvent[] = [];
  readonly #parts: DoorParts;
  readonly #port: number;

  /** `port`: the one that the guest thinks to reach. */
  constructor({ port, originPort }: { port: number; originPort: () => number }) {
    this.#port = port;
    const allow = [HOST, { host: HOST, http: true }];
    const policy = createPolicy([parsePolicy({ egress: { allow } }, { source: 'project', file: 'p' })]);
    this.#parts = {
      policy: () => policy,
      names: new SyntheticNames({ path: null, isDenied: () => false }),
      audit: { write: async (event) => void this.#events.push(event) },
      authority: undefined as never,
      resolve: async () => ['93.184.215.14'],
      ownAddresses: () => [],
      connect: () => connectTcp('127.0.0.1', originPort()),
      denialHint: () => [],
    };
  }

  async begin(protocol: HttpFlow['protocol']): Promise<FuzzFlow> {
    this.#events = [];
    const { port } = pairing.address() as AddressInfo;
    const theirs = connectTcp('127.0.0.1', port);
    const [ours] = (await once(pairing, 'connection')) as [Socket];
    for (const socket of [theirs, ours]) socket.on('error', () => {});
    const pieces = new PieceLimit(DOOR_LIMITS.pieces);
    const places = new Places(1, 0);
    const door: Door = { parts: this.#parts, limits: DOOR_LIMITS, requests: 0, flows: 1, places, pieces };
    const flow: FlowContext = {
      door,
      nr: 1,
      target: { host: { kind: 'name', name: HOST }, port: this.#port },
      guest: null,
      startedMs: performance.now(),
      counts: { up: 0, down: 0 },
      upstream: null,
      denied: null,
      approved: new Set(),
      place: null,
      requests: 0,
      allowed: 0,
    };
    return { theirs, ours, door, http: { flow, protocol, origins: new Origins(flow, null) } };
  }

  /**
   * Every request that was begun has its end, the origin got whole requests by the book or the beginning of one, and no
   * more than were written down. `sendings`: how often each may have been sent.
   */
  checkAudit(received: readonly string[], sendings = 1): void {
    const requests = this.#events.filter((event) => event.kind === 'request');
    const begun = requests.filter((event) => event.begun);
    for (const each of begun)
      assert.ok(
        requests.some((other) => !other.begun && other.request === each.request),
        `request ${each.request} has no end in the audit`,
      );
    let sent = 0;
    for (const text of received) {
      const { requests: read, rest } = readRequests(text);
      sent += read.length + (rest === '' ? 0 : 1);
      for (const { headers } of read) assert.deepEqual(headers[0], ['Host', HOST]);
    }
    assert.ok(
      sent <= begun.length * sendings,
      `${sent} requests at the origin, ${begun.length} in the audit`,
    );
  }

  /** Those of the audit, each once. */
  statuses(): string {
    const statuses = this.#events.map((event) => ('status' in event ? event.status : null));
    return [...new Set(statuses)].sort().join(' ');
  }
}

export async function quiet(is: () => boolean, why: string): Promise<void> {
  const endMs = performance.now() + LATE_MS;
  while (!is()) {
    assert.ok(performance.now() < endMs, why);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
