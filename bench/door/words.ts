// What the processes of the door's bench say to each other.

import type { AuthorityPem } from '../../src/egress/tls/authority.ts';

export interface OriginConfig {
  authority: AuthorityPem;
}

export interface DoorConfig {
  folder: string;
  guestAuthority: AuthorityPem;
  originCertificatePem: string;
  origin: OriginPorts;
}

export interface OriginPorts {
  tls: number;
  plain: number;
}

export interface GuestConfig {
  socket: string;
  caPem: string;
  originCertificatePem: string;
  origin: OriginPorts;
}

/** A load, and what a guest answers when it is over. */
export type Load =
  /** As many requests as fit, on so many connections. Answers how many a second. */
  | { type: 'requests'; connections: number; seconds: number }
  /** One after another. Answers the median time of one, through the door and around it. */
  | { type: 'latency'; requests: number }
  /** A new connection each. Answers the median time to the answer's last byte. */
  | { type: 'connect'; connections: number }
  /** Answers Mbit/s. */
  | { type: 'bulk'; bytes: number; over: 'tcp' | 'https'; around: boolean }
  /** Both ways at once, each byte compared. Answers Mbit/s of both together. */
  | { type: 'exact'; bytes: number }
  /** Opens flows that stay. Answers how many of them are served: the rest may wait for a place. */
  | { type: 'hold'; flows: number; over: 'tcp' | 'https'; how: Hold }
  | { type: 'release' };

/** After one request; in the middle of an answer that nobody reads, or of a body that the origin does not take. */
export type Hold = 'answered' | 'unread' | 'untaken';

export interface Latency {
  throughMs: number;
  aroundMs: number;
}

export const BODY_BYTES = 1_024;
const HEAD = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${BODY_BYTES}\r\n\r\n`;
export const ANSWER = Buffer.concat([Buffer.from(HEAD), Buffer.alloc(BODY_BYTES, 'x')]);
export const CHUNK = Buffer.alloc(64 * 1_024, 'y');
export const HTTPS_NAME = 'api.example';
export const TCP_NAME = 'db.example';
export const TCP_PORT = 5432;
