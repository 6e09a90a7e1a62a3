// The head of a request, more hostile than any parser lets through: lines of `name: value`, of HTTP/2 when the first
// begins with a colon. What is taken has one reading, has lost what concerns its connection, and is taken unchanged
// when it is written again.

import assert from 'node:assert/strict';
import { type HeaderList, listOf, pairsOf, valuesOf } from '../../src/egress/http/headers.ts';
import { type BadHead, type ReadHead, readHttp1, readHttp2 } from '../../src/egress/http/read-head.ts';
import { canonicalHost, sameHost } from '../../src/egress/names/canonical-host.ts';
import type { Ran } from './target.ts';

const target = { host: { kind: 'name', name: 'api.example' }, port: 443 } as const;
const WEBSOCKET =
  'Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';

export const seeds = [
  'GET /a?b=%20 1.1\nHost: api.example\nAccept: */*\nCookie: a=b',
  'POST / 1.1\nHost: API.example.:443\nContent-Length: 5\nExpect: 100-continue\nX-Odd: é "q"\nX-odd: 2',
  'PUT /x 1.1\nHost: api.example\nTransfer-Encoding: chunked\nTrailer: X\nTE: trailers\nConnection: TE, X-Hop\nX-Hop: 1',
  `GET /ws 1.1\nHost: api.example\n${WEBSOCKET}`,
  'OPTIONS * 1.0\nHost: api.example\nConnection: close\nKeep-Alive: 5',
  'GET http://api.example/ 1.1\nHost: api.example\nHost: other.example',
  ':method: POST\n:path: /grpc\n:scheme: https\n:authority: api.example\nte: trailers\ncontent-type: application/grpc\ncookie: a\ncookie: b',
  ':method: GET\n:path: /\n:scheme: https\nhost: api.example\ncontent-length: 0',
  ':method: CONNECT\n:authority: api.example:443\n:protocol: websocket',
  `:method: GET\n:path: /\n:scheme: https\n:authority: api.example${'\na: b'.repeat(256)}`,
];

export function run(bytes: Buffer): Ran {
  const lines = bytes.toString('latin1').split('\n');
  if (lines[0]!.startsWith(':')) return version2(lines, bytes.length % 2 === 0);
  const [method = '', path = '', version = ''] = lines[0]!.split(' ');
  const rawHeaders = split(lines.slice(1));
  const read = readHttp1({ method, path, version, rawHeaders }, target, 'https');
  if ('status' in read) return refused(read);
  const pairs = pairsOf(rawHeaders);
  taken(read, pairs);
  assert.equal(valuesOf(pairs, 'host').length, 1);
  const [lengths, encodings] = [valuesOf(pairs, 'content-length'), valuesOf(pairs, 'transfer-encoding')];
  assert.ok(lengths.length + encodings.length <= 1, 'framed twice');
  if (encodings.length > 0)
    assert.deepEqual([encodings[0]!.toLowerCase(), read.body.kind], ['chunked', 'unknown']);
  else if (lengths.length > 0) assert.deepEqual(read.body, { kind: 'length', bytes: Number(lengths[0]) });
  else assert.equal(read.body.kind, 'none');
  if (read.websocket)
    assert.deepEqual(
      valuesOf(pairs, 'upgrade').map((each) => each.toLowerCase()),
      ['websocket'],
    );
  const again = readHttp1(
    { method, path, version: '1.1', rawHeaders: written(read).flat() },
    target,
    'https',
  );
  assert.deepEqual(again, { ...read, expectsContinue: false });
  return `taken 1 ${read.body.kind} ${read.websocket} ${read.expectsContinue} ${read.wantsTrailers}`;
}

function version2(lines: string[], ended: boolean): Ran {
  const raw = split(lines);
  const read = readHttp2(raw, ended, target);
  if ('status' in read) return refused(read);
  const pairs = pairsOf(raw);
  taken(read, pairs);
  for (const name of [':method', ':path', ':scheme']) assert.equal(valuesOf(pairs, name).length, 1);
  assert.ok(valuesOf(read.head.headers, 'cookie').length <= 1);
  if (ended) assert.equal(read.body.kind, 'none');
  // The same request over HTTP/1.1 is one that would be taken there.
  const { method, path } = read.head;
  const again = readHttp1(
    { method, path, version: '1.1', rawHeaders: written(read).flat() },
    target,
    'https',
  );
  assert.ok('head' in again, 'status' in again ? again.why : '');
  assert.deepEqual(again.head, read.head);
  return `taken 2 ${read.body.kind} ${read.expectsContinue} ${read.wantsTrailers}`;
}

function taken({ head }: ReadHead, before: HeaderList): void {
  const { method, path, headers } = head;
  assert.match(method, /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/);
  assert.doesNotMatch(method, /^(?:CONNECT|TRACE|TRACK)$/);
  assert.match(path, /^(?:\/[^\x00-\x20\x7f#]*|\*)$/);
  const hosts = [...valuesOf(before, ':authority'), ...valuesOf(before, 'host')];
  for (const each of hosts) {
    const host = canonicalHost(each.replace(/:443$/, ''));
    assert.ok(!('refused' in host) && sameHost(host, target.host), each);
  }
  const named = listOf(before, 'connection');
  for (const [name, value] of headers) {
    assert.match(name, /^[!#$%&'*+.^_`|~0-9a-z-]+$/);
    assert.doesNotMatch(value, /[\x00-\x08\x0a-\x1f\x7f]/);
    assert.ok(!named.includes(name), name);
    assert.doesNotMatch(
      name,
      /^(?:host|content-length|transfer-encoding|connection|keep-alive|proxy-.*|te|upgrade|http2-settings|expect)$/,
    );
  }
  // Nothing was put in and nothing changed places.
  const rest = before.filter(([name]) => name !== 'cookie').map(([name, value]) => `${name}:${value}`);
  let at = 0;
  for (const [name, value] of headers.filter(([each]) => each !== 'cookie')) {
    at = rest.indexOf(`${name}:${value}`, at) + 1;
    assert.ok(at > 0, `${name} came from nowhere`);
  }
}

function refused({ status, why }: BadHead): string {
  assert.ok([400, 405, 417, 421, 431].includes(status));
  assert.match(why, /^[\x20-\x7e]{1,200}$/);
  return `${status} ${why}`;
}

/** As a request of HTTP/1.1 to the origin is. */
function written({ head, body, websocket, wantsTrailers }: ReadHead): [string, string][] {
  return [
    ['Host', 'api.example'],
    ...(head.headers as [string, string][]),
    ...(websocket
      ? ([
          ['Connection', 'Upgrade'],
          ['Upgrade', 'websocket'],
        ] as [string, string][])
      : wantsTrailers
        ? ([
            ['Connection', 'TE, keep-alive'],
            ['TE', 'trailers'],
          ] as [string, string][])
        : []),
    ...(body.kind === 'unknown' ? [['Transfer-Encoding', 'chunked'] as [string, string]] : []),
    ...(body.kind === 'length' ? [['Content-Length', String(body.bytes)] as [string, string]] : []),
  ];
}

function split(lines: string[]): string[] {
  return lines.flatMap((line) => {
    const at = line.indexOf(':', 1);
    return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1).replace(/^ /, '')];
  });
}
