// One HTTP exchange with a registry: GET or POST, redirects followed by hand. Foreign bytes: every answer has a limit
// and a deadline, and what identifies the user goes to the host that it was meant for and to no other.

import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { version } from '../../host/build.ts';
import { WarrenError } from '../../protocol/error.ts';
import { Gather } from '../../protocol/gather.ts';

export interface Ask {
  url: URL;
  method?: 'GET' | 'POST';
  headers: Record<string, string>;
  /** For the host of `url` only. */
  authorization?: string | undefined;
  body?: string;
  /** Redirects may lead to plain HTTP: the registry is on this computer, or the user said so. */
  plain: boolean;
  signal?: AbortSignal | undefined;
}

const REDIRECTS_MAX = 5;
const SILENCE_MS = 60_000;
const agentOptions = { keepAlive: true, maxSockets: 8, proxyEnv: process.env };
const agents = { 'http:': new HttpAgent(agentOptions), 'https:': new HttpsAgent(agentOptions) };

/** The answer's head; its body must be read or destroyed. */
export async function ask(what: Ask): Promise<IncomingMessage> {
  let { url } = what;
  for (let redirects = 0; ; redirects++) {
    const own = url.host === what.url.host && url.protocol === what.url.protocol;
    const answer = await exchange(url, what, own ? what.authorization : undefined);
    const status = answer.statusCode ?? 0;
    const { location } = answer.headers;
    if (![301, 302, 303, 307, 308].includes(status) || location === undefined) return answer;
    answer.destroy();
    if (redirects >= REDIRECTS_MAX) throw refused(what.url, 'it redirects without end');
    url = target(location, url);
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && what.plain))
      throw refused(what.url, `it redirects to ${url.protocol}//${url.host}, which is not HTTPS`);
  }
}

/** The whole body, at most `maxBytes`. */
export async function readBody(answer: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const all = new Gather();
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      if (all.bytes + chunk.length > maxBytes) {
        answer.destroy();
        throw new WarrenError({
          code: 'image.too-large',
          message: `the registry answered with more than ${maxBytes} bytes`,
        });
      }
      all.add(chunk);
    }
  } catch (cause) {
    if (cause instanceof WarrenError) throw cause;
    throw new WarrenError(
      {
        code: 'image.registry-unreachable',
        message: `the registry broke off after ${all.bytes} bytes: ${(cause as Error).message}`,
        remedy: 'check the network, then try again',
      },
      { cause },
    );
  }
  return all.take();
}

function exchange(url: URL, what: Ask, authorization: string | undefined): Promise<IncomingMessage> {
  const send = url.protocol === 'http:' ? requestHttp : requestHttps;
  return new Promise((resolve, reject) => {
    const sent = send(url, {
      method: what.method ?? 'GET',
      agent: agents[url.protocol as 'http:' | 'https:'],
      headers: {
        'user-agent': `warren/${version}`,
        ...what.headers,
        ...(authorization !== undefined && { authorization }),
      },
      timeout: SILENCE_MS,
      ...(what.signal && { signal: what.signal }),
    });
    sent.once('timeout', () => sent.destroy(new Error(`it was silent for ${SILENCE_MS / 1000} s`)));
    sent.once('error', (cause) => reject(unreachable(url, cause)));
    sent.once('response', (answer) => {
      answer.once('error', () => {});
      resolve(answer);
    });
    sent.end(what.body);
  });
}

function target(location: string, from: URL): URL {
  try {
    return new URL(location, from);
  } catch {
    throw refused(from, 'it redirects to something that is no URL');
  }
}

function refused(url: URL, why: string): WarrenError {
  return new WarrenError({
    code: 'image.registry-refused',
    message: `cannot use the registry ${url.host}: ${why}`,
  });
}

/** A plain error is tried again; this says in the end what was wrong. */
function unreachable(url: URL, cause: Error): Error {
  return new Error(`${url.host} cannot be reached: ${cause.message}`, { cause });
}
