// The door's own answers: what a program or a person reads when nothing was sent on. Pure.

import type { Asked, Denied } from '../policy/verdict.ts';
import { listOf } from './headers.ts';

export interface Refusal {
  status: 400 | 403 | 405 | 417 | 421 | 431 | 502 | 503;
  code: 'denied' | 'bad-request' | 'unreachable' | 'unaudited' | 'busy';
  ruleId: string | null;
  /** One line, safe to print. */
  reason: string;
  /** Commands that would allow it. */
  hints: readonly string[];
}

export interface Answer {
  status: number;
  headers: [string, string][];
  body: string;
}

export function denial(
  { ruleId, reason }: Pick<Denied | Asked, 'ruleId' | 'reason'>,
  hints: readonly string[],
): Refusal {
  return { status: 403, code: 'denied', ruleId, reason, hints };
}

export function failure(
  status: Exclude<Refusal['status'], 403>,
  reason: string,
  ruleId: string | null = null,
): Refusal {
  const code = status === 502 ? 'unreachable' : status === 503 ? 'unaudited' : 'bad-request';
  return { status, code, ruleId, reason, hints: [] };
}

/** What `git push` wants back; of an answer with another status, it shows the status alone. */
const GIT_RESULT = 'application/x-git-receive-pack-result';

/** What the client said of itself. */
export interface Client {
  accept?: string | undefined;
  /** Of a request over HTTP/2. */
  contentType?: string | undefined;
}

/** gRPC's own form, JSON for programs that say so, git's own form for its push, plain text for all others. */
export function answerOf(refusal: Refusal, { accept, contentType }: Client): Answer {
  const { status, code, ruleId, reason, hints } = refusal;
  if (/^application\/grpc(?:$|[+;])/.test(contentType ?? '')) return grpcAnswer(refusal);
  const accepted = listOf([['accept', accept ?? '']], 'accept');
  if (status === 403 && accepted.includes(GIT_RESULT)) return gitAnswer(refusal);
  const json = accepted.some((each) => /^application\/(?:[\w.-]+\+)?json(?:$|[ ;])/.test(each));
  const body = json
    ? `${JSON.stringify({ code: `egress.${code}`, message: reason, rule: ruleId, hints })}\n`
    : [`Warren: ${reason}`, ...(ruleId === null ? [] : [`rule: ${ruleId}`]), ...hints.map(allowed), ''].join(
        '\n',
      );
  return answer(status, ruleId, json ? 'application/json' : 'text/plain; charset=utf-8', body);
}

/** INVALID_ARGUMENT, PERMISSION_DENIED, UNAVAILABLE. */
const GRPC_STATUS = { bad: '3', denied: '7', unavailable: '14' };

/** Trailers only (gRPC over HTTP/2, Responses): of an answer with another status, its clients show the status alone. */
function grpcAnswer(refusal: Refusal): Answer {
  const { status, ruleId } = refusal;
  const told = status === 403 ? 'denied' : status >= 500 ? 'unavailable' : 'bad';
  return {
    status: 200,
    headers: [
      deniedHeader(ruleId),
      ['content-type', 'application/grpc'],
      ['grpc-status', GRPC_STATUS[told]],
      ['grpc-message', percentEncoded(wordsOf(refusal))],
    ],
    body: '',
  };
}

/** All but printable ASCII, and `%`: clients decode no more than that. */
function percentEncoded(text: string): string {
  const encode = (byte: number) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  return [...Buffer.from(text)]
    .map((byte) => (byte < 0x20 || byte > 0x7e || byte === 0x25 ? encode(byte) : String.fromCharCode(byte)))
    .join('');
}

function wordsOf({ reason, hints }: Refusal): string {
  return [`Warren: ${reason}`, ...hints.map(allowed)].join('\n');
}

/** A packet of band 3, the remote's last words (gitprotocol-pack(5)): git prints each line behind `remote: `. */
function gitAnswer(refusal: Refusal): Answer {
  const words = `${wordsOf(refusal)}\n`;
  const length = (Buffer.byteLength(words) + 5).toString(16).padStart(4, '0');
  return answer(200, refusal.ruleId, GIT_RESULT, `${length}\x03${words}0000`);
}

function answer(status: number, ruleId: string | null, type: string, body: string): Answer {
  return {
    status,
    headers: [
      deniedHeader(ruleId),
      ['content-type', type],
      ['content-length', String(Buffer.byteLength(body))],
      ['cache-control', 'no-store'],
    ],
    body,
  };
}

/** Told for each refusal of a request, so that a program can tell the door's answer from the origin's. */
function deniedHeader(ruleId: string | null): [string, string] {
  return ['warren-denied', ruleId === null ? 'none' : headerValue(ruleId)];
}

function allowed(hint: string): string {
  return `to allow it: ${hint}`;
}

function headerValue(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200);
}
