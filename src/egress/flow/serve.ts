// The door's end of an attached `egress` stream: HTTP/2, the guest is the client and hostile. A CONNECT is a flow, a
// `POST /dns` a question, anything else refused. Limits: 512 flows, 100 opens a second, 64 KiB of head; what a flow
// may have unread gets less when there are many, so that all together stay within 150 MiB.

import { performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import { type Duplex, setDefaultHighWaterMark } from 'node:stream';
import type { SecureContext } from 'node:tls';
import { PieceLimit } from '../../host/limit-pieces.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { FrontHttp1 } from '../http/front-http1.ts';
import { upstreamContext } from '../tls/upstream.ts';
import { parseClaim } from './claim.ts';
import type { Door } from './context.ts';
import { answerDns } from './dns.ts';
import { runFlow } from './flow.ts';
import { DOOR_LIMITS, type DoorParts } from './parts.ts';
import { Places } from './places.ts';
import { Rate } from './rate.ts';
import { defaultBufferBytes } from './share.ts';
import { targetOf } from './target.ts';

export interface ServedEgress {
  /** How many flows are open. */
  readonly flows: number;
  /** When the last flow ended or the last question was answered, on `performance.now()`'s clock. */
  readonly lastUsedMs: number;
  /** Resolves when the stream is over, whoever ended it. */
  readonly closed: Promise<void>;
  /** Resets what is open. Resolves once each flow has its last record. */
  close(): Promise<void>;
}

const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;
/** Never changed later: the peer answers new settings, and might at that moment be waiting for us to read. */
const FLOW_WINDOW_BYTES = 256 * 1024;
/** Beyond the flows, for questions and for telling that there are too many. */
const SPARE_STREAMS = 128;
const MAX_SESSION_MIB = 64;
const MAX_HEADER_PAIRS = 64;
const MAX_SHOWN_CHARS = 100;
/** Programs that give up on their connections must not end everybody's. */
const RESETS = { streamResetBurst: 4_000, streamResetRate: 400 };

export function serveEgress(stream: Duplex, parts: DoorParts): ServedEgress {
  const limits = { ...DOOR_LIMITS, ...parts.limits };
  const places = new Places(limits.readFlows, limits.placeMs);
  const pieces = new PieceLimit(limits.pieces);
  const door: Door = { parts, limits, requests: 0, flows: 0, places, pieces };
  const front = new FrontHttp1(limits);
  const rate = new Rate(limits.opensPerSecond, limits.opensBurst);
  const running = new Set<Promise<void>>();
  let roots: SecureContext | undefined;
  const upstreamTls = () => {
    roots ??= upstreamContext(parts.extraCa ?? []);
    return roots;
  };
  let nr = 0;
  const nextFlow = parts.nextFlow ?? (() => ++nr);
  let lastUsedMs = performance.now();
  const closed = Promise.withResolvers<void>();

  const session = performServerHandshake(stream, {
    settings: {
      maxFrameSize: 64 * 1024,
      maxConcurrentStreams: limits.flows + SPARE_STREAMS,
      initialWindowSize: FLOW_WINDOW_BYTES,
      maxHeaderListSize: limits.headerBytes,
      enablePush: false,
    },
    maxHeaderListPairs: MAX_HEADER_PAIRS,
    maxSessionMemory: MAX_SESSION_MIB,
    ...RESETS,
  });
  session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
  stream.on('error', () => {});
  stream.once('close', () => session.destroy());
  session.on('error', () => {});
  session.once('close', () => {
    stream.destroy();
    void Promise.allSettled(running).then(() => {
      front.close();
      closed.resolve();
    });
  });

  const track = (work: Promise<void>) => {
    const tracked = work
      .catch(() => {})
      .finally(() => {
        running.delete(tracked);
        lastUsedMs = performance.now();
      });
    running.add(tracked);
  };

  session.on('stream', (flow, headers) => {
    flow.on('error', () => {});
    pieces.watch(flow);
    const method = headers[':method'];
    const isDns = method === 'POST' && headers[':path'] === '/dns';
    if (!isDns && method !== 'CONNECT')
      return refuse(flow, 405, 'unknown', 'only CONNECT and POST /dns are understood');
    if (!rate.take())
      return refuse(
        flow,
        429,
        'too-fast',
        `more than ${limits.opensPerSecond} connections a second are opened`,
      );
    if (isDns) return track(answerDns(flow, door).finally(() => finish(flow)));
    if (door.flows >= limits.flows)
      return refuse(flow, 503, 'too-many', `more than ${limits.flows} connections are open`);
    const target = targetOf(headers[':authority'], parts.names);
    if ('refused' in target) {
      const host = typeof headers[':authority'] === 'string' ? headers[':authority'] : '';
      return track(
        refuseTarget(door, nextFlow(), host, target.refused).then(() =>
          refuse(flow, 400, 'no-host', target.refused),
        ),
      );
    }
    countFlow(door, 1);
    flow.respond({ ':status': 200 });
    const context = {
      door,
      nr: nextFlow(),
      target,
      guest: parseClaim(headers['warren-guest'], limits.guestClaimBytes * 2),
      startedMs: performance.now(),
      counts: { up: 0, down: 0 },
      upstream: null,
      denied: null,
      approved: new Set<never>(),
      requests: 0,
      allowed: 0,
      place: null,
    };
    track(
      runFlow(flow, context, { front, upstreamTls }).finally(() => {
        countFlow(door, -1);
      }),
    );
  });

  return {
    get flows() {
      return door.flows;
    },
    get lastUsedMs() {
      return door.flows > 0 ? performance.now() : lastUsedMs;
    },
    closed: closed.promise,
    async close() {
      session.destroy();
      stream.destroy();
      await closed.promise;
    },
  };
}

function countFlow(door: Door, more: 1 | -1): void {
  door.flows += more;
  setDefaultHighWaterMark(false, defaultBufferBytes(door.flows));
}

async function refuseTarget(door: Door, flow: number, authority: string, why: string): Promise<void> {
  await door.parts.audit
    .write({
      kind: 'flow',
      flow,
      host: sanitizeLine(authority, MAX_SHOWN_CHARS),
      port: null,
      decision: 'deny',
      ruleId: null,
      reason: why,
      protocol: null,
      upstream: null,
      bytesUp: 0,
      bytesDown: 0,
      durationMs: 0,
      guest: null,
    })
    .catch(() => {});
}

function refuse(stream: ServerHttp2Stream, status: number, code: string, message: string): void {
  if (stream.destroyed || stream.closed) return;
  stream.respond({ ':status': status, 'content-type': 'application/json' });
  stream.end(JSON.stringify({ code: `egress.${code}`, message }));
  finish(stream);
}

/** What else the client wanted to send is not waited for. */
function finish(stream: ServerHttp2Stream): void {
  if (stream.writableFinished) stream.close();
  else stream.once('finish', () => stream.close());
}
