// Which requests of a step an SSH agent of the user's gets to see: those that list keys and sign, and the one that binds
// a connection to a session (OpenSSH's PROTOCOL.agent). None adds, removes, locks or asks for anything else. Pure.

import { createHash } from 'node:crypto';
import type { Message } from './messages.ts';

const FAILURE_TYPE = 5;
const REQUEST_IDENTITIES = 11;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;
const EXTENSION = 27;
const SESSION_BIND = 'session-bind@openssh.com';

/** The answer to all else. */
export const FAILURE: Message = Buffer.from([FAILURE_TYPE]);

/** Whole and of a kind that is passed on. */
export function isPassedOn(request: Message): boolean {
  switch (request[0]) {
    case REQUEST_IDENTITIES:
      return request.length === 1;
    case SIGN_REQUEST:
      // Key, data, flags.
      return afterStrings(request, 2) === request.length - 4;
    case EXTENSION:
      // Name, host key, session, signature, whether it is forwarded.
      return (
        stringAt(request, 1)?.toString('latin1') === SESSION_BIND &&
        afterStrings(request, 4) === request.length - 1
      );
    default:
      return false;
  }
}

/** The fingerprint of the key that an answer was signed with, as `ssh-add -l` prints it; null: it is no signature. */
export function signedWith(request: Message, answer: Message): string | null {
  if (request[0] !== SIGN_REQUEST || answer[0] !== SIGN_RESPONSE) return null;
  const key = stringAt(request, 1)!;
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** Where so many strings end that begin behind the type; null: they are not there. */
function afterStrings(message: Message, count: number): number | null {
  let at = 1;
  for (let nr = 0; nr < count; nr++) {
    const found = stringAt(message, at);
    if (!found) return null;
    at += 4 + found.length;
  }
  return at;
}

function stringAt(message: Message, at: number): Buffer | undefined {
  if (message.length < at + 4) return undefined;
  const length = message.readUInt32BE(at);
  return message.length < at + 4 + length ? undefined : message.subarray(at + 4, at + 4 + length);
}
