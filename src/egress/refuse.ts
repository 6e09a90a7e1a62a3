// The door's place. There is none yet: whatever a guest asks for on its `egress` stream is refused with words that
// a program can show. The guest is hostile: its requests are answered without being read.

import { performServerHandshake } from 'node:http2';
import type { Duplex } from 'node:stream';

const STATUS = 403;
const ANSWER = JSON.stringify({
  code: 'egress.none',
  message: 'this sandbox has no network: Warren has no door yet',
});
const MAX_STREAMS = 64;
const MAX_HEADER_LIST_BYTES = 8 * 1024;
const MAX_SESSION_MIB = 2;

/** Serves one attach of the `egress` stream (HTTP/2, the guest is the client) until it ends. */
export function refuseAll(stream: Duplex): void {
  stream.on('error', () => {});
  const session = performServerHandshake(stream, {
    settings: {
      maxConcurrentStreams: MAX_STREAMS,
      maxHeaderListSize: MAX_HEADER_LIST_BYTES,
      enablePush: false,
    },
    maxSessionMemory: MAX_SESSION_MIB,
  });
  session.on('error', () => {});
  session.on('stream', (request) => {
    request.on('error', () => {});
    request.respond({ ':status': STATUS, 'content-type': 'application/json' });
    request.end(ANSWER);
    // What else it wanted to send is thrown away.
    request.resume();
  });
}
