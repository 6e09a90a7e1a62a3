// The host attaches to an agent that somebody hostile plays: the bytes are what it says. `A` behind a 0xff stands for
// the ACK of this attach, `W` for one of another generation, `C` for a cut where the socket pauses, `E` for its end.
// Whatever comes, the attach ends by an error that says why, or carries exactly what followed the ACK, and what the
// host writes comes in frames of this attach.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { attach } from '../../src/machine/link/attach.ts';
import { AckScanner, EPOCH_BYTES } from '../../src/machine/link/frames.ts';
import { WarrenError } from '../../src/protocol/error.ts';
import { limits } from '../../src/protocol/limits.ts';
import type { Ran } from './target.ts';

const FILLER_BYTES = limits.channelFramePayloadBytes + 64;
const HELLO_BYTES = FILLER_BYTES + 1 + EPOCH_BYTES + 4;
const MARK = 0xff;
/** No input makes an attach wait for it; however busy the computer, the agent's answer comes before it. */
const DEADLINE_MS = 60_000;
const magic = Buffer.from('WRN-ACK\n', 'latin1');
const other = Buffer.alloc(EPOCH_BYTES, 7);

export const seeds = [
  '\xffA',
  'old bytes \xffAPRI * HTTP/2.0\xffCmore\xffE',
  'WRN-ACK\nWRN-ACK\xffC\n\xffAfirst\xffAsecond',
  `WRN-ACK\n${other.toString('latin1')}\0\0\0\x01\xffA`,
  '\xffW',
  'W\xffCR\xffCN\xffE',
  `${'x'.repeat(300)}\xffC${'WRN-ACK\n'.repeat(40)}\xffA${'y'.repeat(300)}`,
].map((text) => Buffer.from(text, 'latin1'));

const folder = mkdtempSync(join(tmpdir(), 'warren-fuzz-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const socketPath = join(folder, 'agent');
let play: (socket: Socket) => void = () => {};
const server = createServer((socket) => play(socket)).listen(socketPath);
server.unref();

export async function run(bytes: Buffer): Promise<Ran> {
  // Of the last knock: on a computer that stood still for a while there are several.
  let heard: Buffer[] = [];
  let said: Said | undefined;
  let agent: Socket | undefined;
  play = (socket) => {
    agent = socket;
    heard = [];
    socket.on('error', () => {});
    let all = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      if (agent !== socket) return;
      if (all.length >= HELLO_BYTES) return void heard.push(chunk);
      all = Buffer.concat([all, chunk]);
      if (all.length < HELLO_BYTES) return;
      heard.push(all.subarray(HELLO_BYTES));
      said = answer(socket, bytes, epochOf(all));
    });
  };
  try {
    const result = await attach(socketPath, { timeoutMs: DEADLINE_MS }).catch((error: unknown) => error);
    if (!said && result instanceof WarrenError) return result.code;
    const { pieces, ended } = said!;
    const expected = naive(pieces);
    scan(pieces);
    if (result instanceof WarrenError) {
      assert.match(result.code, /^machine\.(?:agent-garbage|agent-generation|agent-silent|channel-closed)$/);
      if (expected.found === null) assert.notEqual(result.code, 'machine.agent-generation');
      else if (expected.generation === limits.agentGeneration)
        assert.fail(`an ACK was not seen: ${result.message}`);
      return result.code;
    }
    if (result instanceof Error) throw result;
    const stream = result as Duplex;
    assert.ok(expected.found !== null && expected.generation === limits.agentGeneration);
    const got = await exchanged(stream, expected.found.length, agent!, ended);
    assert.ok(got.equals(expected.found), 'what came is not what followed the ACK');
    if (!ended) frames(Buffer.concat(heard));
    return `attached, ${got.length > 0 ? 'with bytes' : 'empty'}, ${ended ? 'ended' : 'open'}`;
  } finally {
    agent?.destroy();
  }
}

interface Said {
  pieces: Piece[];
  ended: boolean;
}
interface Piece {
  bytes: Buffer;
  epoch: Buffer;
}

function epochOf(hello: Buffer): Buffer {
  assert.ok(hello.subarray(0, FILLER_BYTES).every((byte) => byte === 0));
  assert.equal(hello[FILLER_BYTES], 1);
  assert.equal(hello.readUInt32BE(HELLO_BYTES - 4), limits.agentGeneration);
  return hello.subarray(FILLER_BYTES + 1, FILLER_BYTES + 1 + EPOCH_BYTES);
}

function answer(socket: Socket, script: Buffer, epoch: Buffer): Said {
  const pieces: Piece[] = [];
  let now: Buffer[] = [];
  let ended = false;
  const flush = () => {
    const bytes = Buffer.concat(now);
    now = [];
    pieces.push({ bytes, epoch });
    if (bytes.length > 0) socket.write(bytes);
  };
  for (let at = 0; at < script.length && !ended; at++) {
    const mark = script[at] === MARK ? String.fromCharCode(script[at + 1] ?? 0) : '';
    if (mark === 'A') now.push(ackOf(epoch, limits.agentGeneration));
    else if (mark === 'W') now.push(ackOf(epoch, limits.agentGeneration + 1));
    else if (mark === 'C') flush();
    else if (mark === 'E') ended = true;
    else {
      now.push(script.subarray(at, at + 1));
      continue;
    }
    at++;
  }
  flush();
  // An attach that got nothing to go by would wait for its deadline.
  const whole = Buffer.concat(pieces.map((piece) => piece.bytes));
  if (
    ended ||
    !whole.includes(ackOf(epoch, limits.agentGeneration).subarray(0, magic.length + EPOCH_BYTES))
  ) {
    ended = true;
    socket.end();
  }
  return { pieces, ended };
}

function ackOf(epoch: Buffer, generation: number): Buffer {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(generation);
  return Buffer.concat([magic, epoch, number]);
}

/** With all bytes at once. */
function naive(pieces: Piece[]): { found: Buffer | null; generation: number } {
  const all = Buffer.concat(pieces.map((piece) => piece.bytes));
  const wanted = Buffer.concat([magic, pieces[0]!.epoch]);
  const at = all.indexOf(wanted);
  if (at < 0 || all.length < at + wanted.length + 4) return { found: null, generation: -1 };
  return { found: all.subarray(at + wanted.length + 4), generation: all.readUInt32BE(at + wanted.length) };
}

/** The scanner alone, byte by byte and as it was cut: one answer. */
function scan(pieces: Piece[]): void {
  const { epoch } = pieces[0]!;
  const all = Buffer.concat(pieces.map((piece) => piece.bytes));
  const expected = naive(pieces);
  for (const step of [1, 3, all.length || 1]) {
    const scanner = new AckScanner(epoch);
    let at = 0;
    let last: ReturnType<AckScanner['push']> = { kind: 'more' };
    for (; at < all.length && last.kind === 'more'; at += step)
      last = scanner.push(all.subarray(at, at + step));
    assert.equal(last.kind === 'found', expected.found !== null, `in steps of ${step}`);
    if (last.kind === 'found') {
      assert.equal(last.generation, expected.generation);
      assert.ok(Buffer.concat([last.rest, all.subarray(at)]).equals(expected.found!));
    }
  }
}

const ECHO = Buffer.alloc(limits.channelFramePayloadBytes + 5, 'e');

async function exchanged(stream: Duplex, bytes: number, agent: Socket, ended: boolean): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let got = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.on('error', () => resolve());
  stream.on('close', () => resolve());
  stream.on('end', () => resolve());
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    got += chunk.length;
    if (!ended && got >= bytes) resolve();
  });
  if (!ended && bytes === 0) resolve();
  await promise;
  if (!ended) {
    const { promise: told, resolve: tell } = Promise.withResolvers<void>();
    let left = ECHO.length + 2 * 3;
    agent.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left <= 0) tell();
    });
    stream.write(ECHO);
    await told;
  }
  stream.destroy();
  return Buffer.concat(chunks);
}

function frames(bytes: Buffer): void {
  const payload: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    assert.equal(bytes[at], 2);
    const length = bytes.readUInt16BE(at + 1);
    assert.ok(length > 0 && length <= limits.channelFramePayloadBytes);
    payload.push(bytes.subarray(at + 3, at + 3 + length));
    at += 3 + length;
  }
  assert.ok(Buffer.concat(payload).equals(ECHO));
}
