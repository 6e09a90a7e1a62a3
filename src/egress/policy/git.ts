// Git over smart HTTP: which requests are a fetch, which a push, and which refs a push would change. The list of a
// push comes from a guest (hostile). Limits: 64 KiB of list, 500 commands, 1024 bytes a ref.

import { sanitizeLine } from '../../protocol/sanitize.ts';
import type { RequestHead } from './verdict.ts';

export type GitRequest = 'fetch' | 'push' | null;

export type PushVerdict =
  | { state: 'allowed'; listBytes: number; refs: string[] }
  | { state: 'refused'; reason: string }
  /** Nothing may be sent on yet. */
  | { state: 'need-more' };

const MAX_LIST_BYTES = 64 * 1024;
const MAX_COMMANDS = 500;
const MAX_REF_BYTES = 1024;
const COMMAND = /^(?:[0-9a-f]{40} [0-9a-f]{40}|[0-9a-f]{64} [0-9a-f]{64}) (.+)$/;
const SHALLOW = /^shallow (?:[0-9a-f]{40}|[0-9a-f]{64})$/;

export function gitRequest({ method, path }: Pick<RequestHead, 'method' | 'path'>): GitRequest {
  const mark = path.indexOf('?');
  const [before, query] = mark < 0 ? [path, null] : [path.slice(0, mark), path.slice(mark + 1)];
  if (method === 'GET' && before.endsWith('/info/refs')) {
    if (query === 'service=git-upload-pack') return 'fetch';
    if (query === 'service=git-receive-pack') return 'push';
  }
  if (method === 'POST' && query === null) {
    if (before.endsWith('/git-upload-pack')) return 'fetch';
    if (before.endsWith('/git-receive-pack')) return 'push';
  }
  return null;
}

/** Then the list of refs of a push cannot be read. */
export function isEncoded({ headers }: Pick<RequestHead, 'headers'>): boolean {
  return headers.some(([name, value]) => name === 'content-encoding' && value !== 'identity');
}

/** Why a rule's `push` cannot be one; null when it can. */
export function refsGlobObjection(glob: string): string | null {
  const name = glob.endsWith('/*') ? `${glob.slice(0, -2)}/x` : glob;
  if (!/^refs\/(?:heads|tags)\/./.test(glob) || glob === 'refs/heads/*' || glob === 'refs/tags/*')
    return 'it must be a ref such as refs/heads/warren/*';
  return isRef(name) ? null : 'it is no name of a ref; a * may only be its last part';
}

/**
 * Reads the head of a body of `git-receive-pack`: the commands, up to the flush. The same bytes with more behind
 * them get the same answer.
 */
export function judgePushCommands(body: Buffer, refsGlob: string): PushVerdict {
  const refs: string[] = [];
  let at = 0;
  for (;;) {
    if (body.length < at + 4)
      return /^[0-9a-f]*$/.test(body.toString('latin1', at))
        ? more(at)
        : refused('its list of refs is broken');
    const head = body.toString('latin1', at, at + 4);
    if (!/^[0-9a-f]{4}$/.test(head)) return refused('its list of refs is broken');
    const length = Number.parseInt(head, 16);
    if (length === 0) return { state: 'allowed', listBytes: at + 4, refs };
    if (length <= 4) return refused('its list of refs is broken');
    if (at + length > MAX_LIST_BYTES) return refused(`its list of refs is over ${MAX_LIST_BYTES} bytes`);
    if (body.length < at + length) return more(at);
    const ref = readCommand(body.toString('latin1', at + 4, at + length), refs.length === 0);
    if (ref === null) return refused('its list of refs is broken or signed');
    if (ref !== 'shallow') {
      if (!inGlob(ref, refsGlob))
        return refused(`it would change ${sanitizeLine(ref, 100)}, and only ${refsGlob} may be`);
      refs.push(ref);
      if (refs.length > MAX_COMMANDS) return refused(`it has more than ${MAX_COMMANDS} commands`);
    }
    at += length;
  }
}

/** The ref of a command; `shallow` for a line that changes none; null for what is neither. */
function readCommand(line: string, first: boolean): string | null {
  const whole = line.endsWith('\n') ? line.slice(0, -1) : line;
  const nul = whole.indexOf('\0');
  // Only the first command carries capabilities.
  if (nul >= 0 && !first) return null;
  const text = nul < 0 ? whole : whole.slice(0, nul);
  if (SHALLOW.test(text)) return nul < 0 ? 'shallow' : null;
  const ref = COMMAND.exec(text)?.[1];
  return ref !== undefined && ref.length <= MAX_REF_BYTES && isRef(ref) ? ref : null;
}

function inGlob(ref: string, glob: string): boolean {
  return glob.endsWith('/*') ? ref.startsWith(glob.slice(0, -1)) : ref === glob;
}

/** Stricter than git: printable ASCII only. */
function isRef(ref: string): boolean {
  return /^refs\/[\x21-\x7e]+$/.test(ref) && !/[~^:?*[\\]|\.\.|@\{|\/\/|\/\.|\.lock(?:\/|$)|[./]$/.test(ref);
}

function more(at: number): PushVerdict {
  return at > MAX_LIST_BYTES
    ? refused(`its list of refs is over ${MAX_LIST_BYTES} bytes`)
    : { state: 'need-more' };
}

function refused(why: string): PushVerdict {
  return { state: 'refused', reason: `the push is refused: ${why}` };
}
