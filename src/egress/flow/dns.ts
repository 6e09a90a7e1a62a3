// A sandbox's DNS questions, which are hostile: answered from the host's own table, each one written down, none ever
// asked upstream. Limit: 4 KiB a question, 10 s for it to arrive.

import type { ServerHttp2Stream } from 'node:http2';
import { Gather } from '../../protocol/gather.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import type { DnsAnswer, DnsQuestion } from '../names/synthetic.ts';
import { type Door, written } from './context.ts';

const MAX_NAME_CHARS = 255;
const MAX_TYPE_CHARS = 20;

export async function answerDns(stream: ServerHttp2Stream, door: Door): Promise<void> {
  const body = await readBody(stream, door.limits.dnsBodyBytes, door.limits.handshakeMs);
  const question = body === null ? null : parseQuestion(body);
  if (question === null) return respond(stream, { rcode: 'FORMERR', answers: [] });
  const answer = door.parts.names.answer(question);
  const isWritten = await written(door, {
    kind: 'dns',
    flow: null,
    host: sanitizeLine(question.name, MAX_NAME_CHARS),
    port: null,
    decision: answer.rcode === 'NOERROR' ? 'allow' : 'deny',
    ruleId: null,
    reason: null,
    type: sanitizeLine(question.type, MAX_TYPE_CHARS),
    answer: answer.answers.map(({ data }) => data).join(' ') || answer.rcode,
  });
  respond(stream, isWritten ? answer : { rcode: 'REFUSED', answers: [] });
}

function parseQuestion(body: string): DnsQuestion | null {
  try {
    const { name, type } = JSON.parse(body) as Record<string, unknown>;
    return typeof name === 'string' && typeof type === 'string' ? { name, type } : null;
  } catch {
    return null;
  }
}

function respond(stream: ServerHttp2Stream, answer: DnsAnswer): void {
  if (stream.destroyed || stream.closed) return;
  stream.respond({ ':status': 200, 'content-type': 'application/json' });
  stream.end(JSON.stringify(answer));
}

/** Null when it is too long, too slow, or breaks off. */
function readBody(stream: ServerHttp2Stream, maxBytes: number, timeoutMs: number): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const all = new Gather();
  const timer = setTimeout(() => resolve(null), timeoutMs);
  stream.on('data', (chunk: Buffer) => {
    if (all.bytes + chunk.length > maxBytes) resolve(null);
    else all.add(chunk);
  });
  stream.once('end', () => resolve(all.take().toString('utf8')));
  stream.once('close', () => resolve(null));
  return promise.finally(() => clearTimeout(timer));
}
