// Passes a client's call to the agent of a running sandbox and its answer back, streaming both ways with
// back-pressure. Only headers that the agent's services use cross, in either direction.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { OutgoingHttpHeaders } from 'node:http2';
import { pipeline } from 'node:stream/promises';
import type { Link } from '../machine/link/link.ts';
import { WarrenError } from '../protocol/error.ts';
import type { Conductor } from '../sandbox/conductor.ts';

const TO_AGENT = new Set([
  'accept',
  'accept-encoding',
  'authorization',
  'connect-protocol-version',
  'connect-timeout-ms',
  'content-encoding',
  'content-type',
  'if-modified-since',
  'if-none-match',
  'keepalive-ping-interval',
  'range',
  'x-access-token',
]);

const FROM_AGENT = new Set([
  'accept-ranges',
  'content-disposition',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'etag',
  'last-modified',
  'vary',
]);

/** Calls that only the host makes; a client may not change who a machine is. */
const HOST_ONLY = /^\/(?:init|warren\/(?:awaken|quiesce|poweroff|git\/))/;

export async function proxyToAgent(
  conductor: Conductor,
  name: string,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (HOST_ONLY.test(path))
    throw new WarrenError({ code: 'usage.no-such-call', message: `the agent has no ${path} for clients` });
  await pass(await conductor.link(conductor.get(name)), path, request, response, {});
}

/** Sessions in a step of a build that failed. */
export async function proxyToFailedStep(
  conductor: Conductor,
  id: string,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { link, headers } = conductor.rooms.failedSteps.get(id);
  await pass(await link(), path, request, response, headers);
}

async function pass(
  link: Link,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
  own: Record<string, string>,
): Promise<void> {
  const headers: OutgoingHttpHeaders = { ':method': request.method ?? 'GET', ':path': path };
  for (const [key, value] of Object.entries(request.headers)) {
    if ((TO_AGENT.has(key) || key.startsWith('x-metadata-')) && value !== undefined) headers[key] = value;
  }
  Object.assign(headers, own);
  const hasBody = request.method !== 'GET' && request.method !== 'HEAD';
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const {
    status,
    headers: head,
    body,
  } = await link.exchange(headers, { payload: hasBody ? request : undefined, signal: gone.signal });
  const answer: Record<string, string> = {};
  for (const [key, value] of Object.entries(head)) {
    if (FROM_AGENT.has(key) && typeof value === 'string') answer[key] = value;
  }
  response.writeHead(status >= 200 && status <= 599 ? status : 502, answer);
  response.flushHeaders();
  await pipeline(body, response).catch(() => response.destroy());
}
