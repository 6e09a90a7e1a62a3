// Takes a guest's TLS apart: answers it as the host that the flow goes to, with a certificate of the sandbox's own
// authority, and hands what is inside to HTTP. The bytes are hostile. Limit: 10 s for the handshake.

import type { ServerHttp2Session } from 'node:http2';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { FlowContext } from '../flow/context.ts';
import { bufferBytes } from '../flow/share.ts';
import type { FrontHttp1 } from './front-http1.ts';
import { serveHttp2 } from './front-http2.ts';
import type { HttpFlow } from './http-flow.ts';

/** In the form that it has on the wire. */
const ALPNProtocols = Buffer.from('\x02h2\x08http/1.1', 'latin1');

const END_GRACE_MS = 250;

/** Resolves once the connection is over; null when it was served, else why its handshake failed. */
export async function intercept(socket: Duplex, http: HttpFlow, front: FrontHttp1): Promise<string | null> {
  const { door, target }: FlowContext = http.flow;
  const secureContext = await door.parts.authority.contextFor(target.host);
  if (socket.destroyed) return null;
  // `highWaterMark` is missing in the types.
  const options = { isServer: true, highWaterMark: bufferBytes(door.flows), secureContext, ALPNProtocols };
  const tls = new TLSSocket(socket as never, options);
  door.pieces.watch(tls);
  const { promise, resolve } = Promise.withResolvers<string | null>();
  let shaken = false;
  const timer = setTimeout(() => tls.destroy(new Error('too slow')), door.limits.handshakeMs);
  tls.once('secure', () => {
    shaken = true;
    clearTimeout(timer);
    // As a TLS server of Node does; HTTP/2 would wait for a handshake that is over.
    Object.assign(tls, { secureConnecting: false });
    if (tls.alpnProtocol === 'h2') {
      const session: ServerHttp2Session = serveHttp2(tls, http, door.limits);
      tls.once('close', () => session.destroy());
      http.flow.place?.opened(() => endSoon(tls, () => session.close()));
    } else {
      front.serve(tls, http);
      http.flow.place?.opened(() => endSoon(tls, () => tls.end()));
    }
  });
  let why = 'the client broke off its TLS handshake';
  tls.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (code && /^ERR_SSL_[A-Z0-9_]+$/.test(code)) why = `the client's TLS handshake failed: ${code}`;
  });
  tls.once('close', () => {
    clearTimeout(timer);
    resolve(shaken ? null : why);
  });
  // A TLS socket over a stream does not always tell that the stream is gone, or that nothing more comes.
  socket.once('close', () => tls.destroy());
  socket.once('end', () => {
    if (!shaken) tls.destroy();
  });
  return promise;
}

/** A client that keeps its side open must not hold what its place was given up for. */
function endSoon(tls: TLSSocket, end: () => void): void {
  end();
  const timer = setTimeout(() => tls.destroy(), END_GRACE_MS);
  tls.once('close', () => clearTimeout(timer));
}
