// HTTP over the unix socket: finds the route, reads the body up to a limit, answers JSON or NDJSON. The socket's
// folder (0700) is the guard: whoever can connect is the user.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Progress } from '../protocol/api.ts';
import { isUsageError, WarrenError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';
import type { Conductor } from '../sandbox/conductor.ts';
import { proxyToAgent, proxyToFailedStep } from './proxy.ts';
import type { Call, Route } from './route.ts';
import { routes } from './routes.ts';

export function serve(conductor: Conductor, own: Route[]): Server {
  const table = [...own, ...routes].map((route) => ({ route, segments: route.path.split('/') }));
  const server = createServer((request, response) => {
    answer(conductor, table, request, response).catch((error: unknown) =>
      fail(response, WarrenError.from(error)),
    );
  });
  server.keepAliveTimeout = 60_000;
  server.requestTimeout = 0;
  return server;
}

interface Entry {
  route: Route;
  segments: string[];
}

async function answer(
  conductor: Conductor,
  table: Entry[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://daemon');
  const agent = /^\/v1\/sandboxes\/([^/]+)\/agent(\/.*)$/.exec(url.pathname);
  if (agent) {
    await proxyToAgent(
      conductor,
      decodeURIComponent(agent[1]!),
      `${agent[2]}${url.search}`,
      request,
      response,
    );
    return;
  }
  const step = /^\/v1\/builds\/([^/]+)\/agent(\/process\.Process\/\w+)$/.exec(url.pathname);
  if (step) {
    await proxyToFailedStep(conductor, step[1]!, step[2]!, request, response);
    return;
  }
  const found = find(table, request.method ?? 'GET', url.pathname);
  if (!found)
    throw new WarrenError({
      code: 'usage.no-such-call',
      message: `the daemon has no ${request.method} ${url.pathname}`,
    });
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  const call: Call = {
    conductor,
    params: found.params,
    query: url.searchParams,
    body: await readBody(request),
    signal: gone.signal,
    onProgress: () => {},
    emit: async () => {},
  };
  if (found.route.streamed) await answerStreamed(found.route, call, response);
  else answerJson(response, 200, (await found.route.handle(call)) ?? {});
}

function find(
  table: Entry[],
  method: string,
  path: string,
): { route: Route; params: Record<string, string> } | undefined {
  const parts = path.split('/');
  for (const { route, segments } of table) {
    if (route.method !== method || segments.length !== parts.length) continue;
    const params: Record<string, string> = {};
    const fits = segments.every((segment, index) => {
      if (!segment.startsWith(':')) return segment === parts[index];
      params[segment.slice(1)] = decodeURIComponent(parts[index]!);
      return true;
    });
    if (fits) return { route, params };
  }
  return undefined;
}

async function answerStreamed(route: Route, call: Call, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  const line = (value: unknown) => {
    if (!response.writableEnded && !response.destroyed) response.write(`${JSON.stringify(value)}\n`);
  };
  const onProgress = throttled((progress) => line({ progress }));
  try {
    const emit = async (event: unknown) => {
      line({ event });
      if (response.writableNeedDrain) await drained(response);
    };
    line({ result: (await route.handle({ ...call, onProgress, emit })) ?? {} });
  } catch (error) {
    line({ error: WarrenError.from(error) });
  }
  response.end();
}

/** Or gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.once('drain', done).once('close', done);
  });
}

const PROGRESS_EVERY_MS = 50;

/** Each new step at once; within a step not more often than the eye can follow. */
function throttled(send: (progress: Progress) => void): (progress: Progress) => void {
  let step = '';
  let sentMs = 0;
  return (progress) => {
    const nowMs = performance.now();
    if (progress.step === step && nowMs - sentMs < PROGRESS_EVERY_MS && progress.done !== progress.total)
      return;
    step = progress.step;
    sentMs = nowMs;
    send(progress);
  };
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > limits.requestBodyBytes) {
      throw new WarrenError({
        code: 'usage.request',
        message: `a request may have ${limits.requestBodyBytes} bytes`,
      });
    }
    chunks.push(chunk);
  }
  if (bytes === 0) return {};
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new WarrenError({ code: 'usage.request', message: 'the request is not JSON' }, { cause });
  }
}

function answerJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

function fail(response: ServerResponse, error: WarrenError): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  answerJson(response, statusOf(error), { error });
}

function statusOf(error: WarrenError): number {
  if (isUsageError(error.code)) return 400;
  if (error.code.endsWith('.not-found')) return 404;
  if (error.code === 'daemon.internal') return 500;
  return 409;
}
