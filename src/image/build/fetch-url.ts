// An ADD of a URL: asked for by way of the machine's own network, so that the door judges and audits it like anything
// that a step asks for. The bytes come to the host, which sends them on as a copy. The answer is hostile.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { connect as connectTls } from 'node:tls';
import { WarrenError } from '../../protocol/error.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';

export interface FetchOptions {
  url: string;
  /** `sha256:` and hex; null: whatever comes. */
  checksum: string | null;
  into: string;
  proxy: () => Promise<Duplex>;
  certificatePem: string;
  signal: AbortSignal;
}

export interface Fetched {
  file: string;
  bytes: number;
  mtime: Date;
}

const REDIRECTS_MAX = 10;
const MAX_BYTES = 16 * 1024 ** 3;
const HEAD_TIMEOUT_MS = 120_000;
const REFUSAL_MAX_CHARS = 2000;

/** Throws `build.fetch-failed`. */
export async function fetchUrl({ url, checksum, into, ...way }: FetchOptions): Promise<Fetched> {
  let target = new URL(url);
  for (let redirects = 0; ; redirects++) {
    const answer = await ask(target, way).catch((cause: unknown) => {
      throw failed(url, (cause as Error).message, cause);
    });
    const { statusCode = 0, headers } = answer;
    if (statusCode >= 300 && statusCode < 400 && headers.location) {
      answer.destroy();
      const next = new URL(headers.location, target);
      if (redirects >= REDIRECTS_MAX) throw failed(url, `more than ${REDIRECTS_MAX} redirects`);
      if (target.protocol === 'https:' && next.protocol !== 'https:')
        throw failed(url, 'it redirects away from https');
      target = next;
      continue;
    }
    if (statusCode !== 200) throw failed(url, `${statusCode}: ${await refusalOf(answer)}`);
    const hash = createHash('sha256');
    let bytes = 0;
    await pipeline(
      answer,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          bytes += chunk.length;
          if (bytes > MAX_BYTES) throw failed(url, `it has more than ${MAX_BYTES} bytes`);
          hash.update(chunk);
          yield chunk;
        }
      },
      createWriteStream(into, { flags: 'wx', mode: 0o600 }),
      { signal: way.signal },
    );
    const got = `sha256:${hash.digest('hex')}`;
    if (checksum !== null && got !== checksum)
      throw failed(url, `its checksum is ${got} and should be ${checksum}`);
    const modified = Date.parse(headers['last-modified'] ?? '');
    return { file: into, bytes, mtime: new Date(Number.isNaN(modified) ? 0 : modified) };
  }
}

async function ask(
  target: URL,
  { proxy, certificatePem, signal }: Pick<FetchOptions, 'proxy' | 'certificatePem' | 'signal'>,
): Promise<IncomingMessage> {
  if (target.protocol !== 'http:' && target.protocol !== 'https:')
    throw new Error(`${target.protocol} is not http or https`);
  const isTls = target.protocol === 'https:';
  const socket = await proxy();
  const asked: ClientRequest = requestHttp({
    method: 'GET',
    // Of a proxy that is asked in plain HTTP, all of it is asked for.
    path: isTls ? `${target.pathname}${target.search}` : target.href,
    headers: { host: target.host, 'user-agent': 'warren', connection: 'close' },
    createConnection: isTls
      ? await secured(
          `${target.hostname}:${target.port || 443}`,
          target.hostname,
          socket,
          certificatePem,
          signal,
        )
      : () => socket,
    signal,
    timeout: HEAD_TIMEOUT_MS,
  });
  // It comes paused: nothing of it may be lost before somebody reads.
  asked.once('socket', (each) => each.resume());
  asked.on('timeout', () => asked.destroy(new Error(`no answer for ${HEAD_TIMEOUT_MS / 1000} s`)));
  asked.end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  return response;
}

async function secured(
  authority: string,
  servername: string,
  socket: Duplex,
  ca: string,
  signal: AbortSignal,
): Promise<() => Duplex> {
  const through = requestHttp({
    method: 'CONNECT',
    path: authority,
    headers: { host: authority },
    createConnection: () => socket,
    signal,
  });
  through.once('socket', (each) => each.resume());
  through.end();
  const [answer, tunnel] = (await once(through, 'connect')) as [IncomingMessage, Duplex];
  if (answer.statusCode !== 200) throw new Error(`the way out is closed: ${answer.statusCode}`);
  return () => connectTls({ socket: tunnel, servername, ca });
}

async function refusalOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of answer.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk;
    if (text.length > REFUSAL_MAX_CHARS) break;
  }
  return sanitizeLine(text.slice(0, REFUSAL_MAX_CHARS).replaceAll('\n', ' '), REFUSAL_MAX_CHARS);
}

function failed(url: string, why: string, cause?: unknown): WarrenError {
  return new WarrenError(
    { code: 'build.fetch-failed', message: `cannot fetch ${sanitizeLine(url, 300)}: ${why}` },
    { cause },
  );
}
