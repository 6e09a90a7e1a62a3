// Which headers travel between a browser and a guest. Pure; flat lists as Node has them.

import { valuesOf } from './read-request.ts';

/** Of one connection only. `Expect` was answered here. */
const HOP_BY_HOP = new Set([
  'connection',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Only we say these. */
const FORWARDED = /^(?:forwarded|x-forwarded-(?:for|host|port|proto|server|prefix)|x-real-ip|via)$/;

export interface Forwarded {
  client: string;
  host: string;
  port: number;
}

/** What the guest's server is asked with; its connection carries this one request. */
export function requestHeaders(
  rawHeaders: readonly string[],
  method: string,
  forwarded: Forwarded,
  websocket: boolean,
): string[] {
  const headers = endToEnd(rawHeaders, (name) => !FORWARDED.test(name));
  headers.push('X-Forwarded-For', forwarded.client, 'X-Forwarded-Host', forwarded.host);
  headers.push('X-Forwarded-Port', String(forwarded.port), 'X-Forwarded-Proto', 'http');
  if (websocket) headers.push('Connection', 'Upgrade', 'Upgrade', 'websocket');
  else {
    headers.push('Connection', 'close');
    const chunked = valuesOf(rawHeaders, 'transfer-encoding').length > 0;
    if (chunked) headers.push('Transfer-Encoding', 'chunked');
    else if (valuesOf(rawHeaders, 'content-length').length === 0 && /^(?:POST|PUT|PATCH)$/.test(method))
      headers.push('Content-Length', '0');
  }
  return headers;
}

/** Of a hostile answer: nothing that would hold for other names or other ports than the one that was asked. */
export function answerHeaders(rawHeaders: readonly string[]): string[] {
  const headers = endToEnd(rawHeaders, (name) => name !== 'alt-svc');
  for (let at = 0; at < headers.length; at += 2)
    if (/^set-cookie2?$/i.test(headers[at]!)) headers[at + 1] = withoutDomain(headers[at + 1]!);
  return headers;
}

/** A cookie without `Domain` goes back to the very name that set it. */
function withoutDomain(cookie: string): string {
  const [pair, ...attributes] = cookie.split(';');
  return [pair, ...attributes.filter((each) => !/^\s*domain\s*(?:=|$)/i.test(each))].join(';');
}

function endToEnd(rawHeaders: readonly string[], keep: (name: string) => boolean): string[] {
  const named = new Set(
    valuesOf(rawHeaders, 'connection').flatMap((value) =>
      value.split(',').map((each) => each.trim().toLowerCase()),
    ),
  );
  // It decides whom a request is for; no client may have it left out.
  named.delete('host');
  named.delete('content-length');
  const headers: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    if (HOP_BY_HOP.has(name) || named.has(name) || !keep(name)) continue;
    headers.push(rawHeaders[at]!, rawHeaders[at + 1]!);
  }
  return headers;
}
