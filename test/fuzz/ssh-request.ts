// What a step's programs say to an SSH agent: whole messages or an error, however the bytes were cut; what is passed on
// lists, signs or binds, and is taken apart to its last byte.

import assert from 'node:assert/strict';
import { isPassedOn, signedWith } from '../../src/image/build/ssh/judge-request.ts';
import {
  frame,
  MESSAGE_MAX_BYTES,
  type Message,
  MessageReader,
  NoMessage,
} from '../../src/image/build/ssh/messages.ts';
import { bindRequest, signRequest, words } from '../image/ssh-requests.ts';
import type { Ran } from './target.ts';

const list = Buffer.from([11]);
export const seeds = [
  frame(list),
  Buffer.concat([frame(list), frame(signRequest('key', 'data'))]),
  frame(bindRequest('session-bind@openssh.com')),
  frame(bindRequest('query')),
  frame(Buffer.concat([Buffer.from([17]), words('ssh-ed25519', 'key')])),
  frame(Buffer.from([19])),
  Buffer.from('00040001', 'hex'),
  Buffer.alloc(8),
];

export function run(bytes: Buffer): Ran {
  const whole = read([bytes]);
  const half = bytes.length >> 1;
  assert.deepEqual(read([bytes.subarray(0, half), bytes.subarray(half)]), whole);
  assert.deepEqual(read([...bytes].map((byte) => Buffer.from([byte]))), whole);
  let passed = 0;
  for (const message of whole.messages) {
    assert.ok(message.length > 0 && message.length <= MESSAGE_MAX_BYTES);
    if (!isPassedOn(message)) continue;
    passed++;
    assert.ok([11, 13, 27].includes(message[0]!));
    if (message[0] === 27) assert.equal(message.subarray(5, 29).toString(), 'session-bind@openssh.com');
    assert.equal(isPassedOn(Buffer.concat([message, Buffer.alloc(1)])), false);
    for (let length = 0; length < message.length; length++)
      assert.equal(isPassedOn(message.subarray(0, length)), false);
    const fingerprint = signedWith(message, Buffer.from([14]));
    assert.equal(fingerprint === null, message[0] !== 13);
  }
  return `${Math.min(3, whole.messages.length)} messages, ${Math.min(3, passed)} passed on, broken ${whole.isBroken}`;
}

function read(chunks: Buffer[]): { messages: Message[]; isBroken: boolean } {
  const reader = new MessageReader();
  const messages: Message[] = [];
  try {
    for (const chunk of chunks) for (const message of reader.push(chunk)) messages.push(Buffer.from(message));
  } catch (error) {
    assert.ok(error instanceof NoMessage, error as Error);
    return { messages, isBroken: true };
  }
  return { messages, isBroken: false };
}
