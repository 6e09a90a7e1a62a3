// EXPOSE's `[IP:][HOST:]PORT[-PORT][/PROTOCOL]` → `PORT/PROTOCOL`, one for each port of a range.

import { isIP } from 'node:net';
import { Problem, quote } from './problem.ts';

const PROTOCOLS = ['tcp', 'udp', 'sctp'];

export function parsePorts(text: string): string[] {
  const parts = text.split(':');
  const container = parts.at(-1)!;
  const host = parts.at(-2) ?? '';
  const ip = parts.slice(0, -2).join(':');
  const [range, protocol = ''] = cut(container, '/');
  if (ip !== '' && isIP(ip.replace(/^\[(.*)\]$/, '$1')) === 0)
    throw new Problem(`EXPOSE has ${quote(text)}: ${quote(ip)} is not an address`, { at: text });
  if (protocol !== '' && !PROTOCOLS.includes(protocol.toLowerCase()))
    throw new Problem(`EXPOSE has ${quote(text)}`, { at: text, found: protocol, expected: PROTOCOLS });
  const [first, last] = rangeOf(range, text);
  if (host !== '') {
    const [hostFirst, hostLast] = rangeOf(host, text);
    if (hostLast - hostFirst !== last - first && first !== last)
      throw new Problem(`EXPOSE has ${quote(text)}: its ranges are not equally long`, { at: text });
  }
  const name = protocol === '' ? 'tcp' : protocol.toLowerCase();
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${name}`);
}

function rangeOf(range: string, text: string): [number, number] {
  const [start, end = start] = cut(range, '-');
  const [first, last] = [portOf(start), portOf(end)];
  if (first === null || last === null || last < first)
    throw new Problem(`EXPOSE has ${quote(text)}: a port from 0 to 65535 or a range was expected`, {
      at: text,
    });
  return [first, last];
}

function portOf(text: string): number | null {
  const port = /^[+-]?\d{1,10}$/.test(text) ? Number(text) : -1;
  return port >= 0 && port <= 65_535 ? port : null;
}

function cut(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
