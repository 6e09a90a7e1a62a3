// A WebSocket to a port of a guest: the two heads are read strictly, then bytes pass both ways.

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ask, broken, openGuest, type Visit } from './exchange.ts';
import { answerHeaders } from './headers.ts';
import { abort, relay } from './relay.ts';

export async function switchProtocols(visit: Visit, client: Socket, head: Buffer): Promise<void> {
  const guest = await openGuest(visit);
  if (guest === null) return;
  if (client.destroyed) return abort(guest);
  const gone = () => abort(guest);
  // Nobody reads from it yet, and an end that is not read is told nobody.
  const look = () => void client.read(0);
  client.once('close', gone).once('end', gone).on('readable', look);
  const sent = ask(visit, guest, true);
  sent.once('upgrade', (answer: IncomingMessage, _socket: Duplex, first: Buffer) => {
    visit.response.detachSocket(client);
    try {
      client.write(headOf(answer), 'latin1');
    } catch {
      abort(guest);
      return abort(client);
    }
    if (first.length > 0) client.write(first);
    if (head.length > 0) guest.write(head);
    client.off('close', gone).off('end', gone).off('readable', look);
    relay(client, guest);
  });
  // Not switched: its answer as a page, on a connection that ends with it.
  sent.once('response', (answer) => refuse(visit, answer, guest));
  sent.on('error', (error) => broken(visit, error));
  sent.end();
}

function refuse({ response, request }: Visit, answer: IncomingMessage, guest: Duplex): void {
  answer.on('error', () => abort(request.socket));
  try {
    response.writeHead(answer.statusCode ?? 502, answerHeaders(answer.rawHeaders));
  } catch {
    abort(guest);
    abort(request.socket);
    return;
  }
  answer.pipe(response);
  answer.once('close', () => {
    if (!answer.complete) abort(request.socket);
    guest.destroy();
  });
}

/** Written by us from what was parsed: no byte of the guest's head passes unread. */
function headOf(answer: IncomingMessage): string {
  const headers = answerHeaders(answer.rawHeaders);
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket'];
  for (let at = 0; at < headers.length; at += 2) {
    const line = `${headers[at]}: ${headers[at + 1]}`;
    if (/[\r\n\0]/.test(line)) throw new Error('a header of more than one line');
    lines.push(line);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}
