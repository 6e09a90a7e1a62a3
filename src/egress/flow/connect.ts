// The door's own dialer: TCP to a literal address, with no names and no second tries.

import { isIP, Socket } from 'node:net';
import type { Reading } from './pieces.ts';

/** `reading`: what comes goes there, and not through the socket. */
export function connectTcp(address: string, port: number, reading?: Reading): Socket {
  if (isIP(address) === 0) throw new Error(`not an address: ${address}`);
  // Half-closed connections stay open the other way, as the guest's do.
  const socket = new Socket({ allowHalfOpen: true, ...(reading && { onread: reading }) });
  socket.setNoDelay(true);
  return socket.connect({ host: address, port, autoSelectFamily: false });
}
