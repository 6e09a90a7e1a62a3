// The connections of one flow to the one place that it goes to. A connection that was dialed under one kind of grant
// is never used under another, and none is shared between flows.

import type { SecureContext } from 'node:tls';
import type { FlowContext } from '../flow/context.ts';
import { type Dialed, dial, grantKey } from '../flow/dial.ts';
import { Pieces } from '../flow/pieces.ts';
import { areMany, bufferBytes, idleOriginMs } from '../flow/share.ts';
import type { Grant } from '../policy/verdict.ts';
import { secure } from '../tls/upstream.ts';
import type { Outgoing, Sent } from './call.ts';
import { Http1Origin } from './send-http1.ts';
import { Http2Origin } from './send-http2.ts';

export interface Ready {
  send(outgoing: Outgoing): Sent;
}
export type Readied = Ready | Exclude<Dialed, { socket: unknown }>;

interface Kept {
  address: string;
  http1: Http1Origin;
  http2: Http2Origin | null;
}

/** With more flows than this, each may have less under way. */
const FEW_REQUESTS = 64;

export class Origins {
  readonly #flow: FlowContext;
  /** Null: the upstream is spoken to in plain text. */
  readonly #tls: (() => SecureContext) | null;
  readonly #kept = new Map<string, Kept>();
  readonly #dialing = new Map<string, Promise<Readied>>();
  #closed = false;

  constructor(flow: FlowContext, tls: (() => SecureContext) | null) {
    this.#flow = flow;
    this.#tls = tls;
  }

  /** A connection that is there and verified. `http2`: that version may be spoken. */
  async ready(grant: Grant, http2: boolean): Promise<Readied> {
    const key = grantKey(grant);
    const before = http2 ? this.#dialing.get(key) : undefined;
    if (before) {
      const readied = await before;
      if (!('send' in readied) || readied instanceof Http2Origin) return readied;
    }
    const kept = this.#kept.get(key);
    if (kept) {
      // The rules may have changed since it was dialed.
      const denied =
        grant.hostService === undefined &&
        this.#flow.door.parts.policy().judgeAddress(this.#flow.target, kept.address);
      if (denied) return { denied: denied.reason, ruleId: denied.ruleId };
      if (http2 && kept.http2?.ready) return kept.http2;
      if (kept.http1.ready) return kept.http1;
    }
    const dialing = this.#dial(grant, key, http2);
    if (!http2) return dialing;
    this.#dialing.set(key, dialing);
    try {
      return await dialing;
    } finally {
      if (this.#dialing.get(key) === dialing) this.#dialing.delete(key);
    }
  }

  close(): void {
    this.#closed = true;
    for (const { http1, http2 } of this.#kept.values()) {
      http1.close();
      http2?.close();
    }
  }

  async #dial(grant: Grant, key: string, http2: boolean): Promise<Readied> {
    const { door, target } = this.#flow;
    const pieces = this.#tls && areMany(door.flows) ? new Pieces() : null;
    const dialed = await dial(door.parts, door.limits, target, grant, pieces?.reading);
    if (!('socket' in dialed)) return dialed;
    let { socket } = dialed;
    let speaksHttp2 = false;
    if (this.#tls) {
      const alpn = http2 ? ['h2', 'http/1.1'] : ['http/1.1'];
      const secured = await secure(
        pieces && dialed.isRead ? pieces.over(socket) : socket,
        target.host,
        alpn,
        this.#tls(),
        door.limits.handshakeMs,
        bufferBytes(door.flows),
      );
      if ('failed' in secured) return secured;
      socket = secured.socket;
      speaksHttp2 = secured.socket.alpnProtocol === 'h2';
    }
    if (this.#closed) {
      socket.destroy();
      return { failed: 'the client has gone' };
    }
    const kept = this.#kept.get(key) ?? {
      address: dialed.address,
      http1: new Http1Origin(() => idleOriginMs(door.flows), door.pieces),
      http2: null,
    };
    kept.address = dialed.address;
    this.#kept.set(key, kept);
    this.#flow.upstream = dialed.address;
    if (speaksHttp2) {
      kept.http2 = new Http2Origin(socket as never, door.requests <= FEW_REQUESTS, door.pieces);
      return kept.http2;
    }
    kept.http1.add(socket);
    return kept.http1;
  }
}
