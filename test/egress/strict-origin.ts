// An origin that takes nothing for granted: reads what it was sent as requests of HTTP/1.1, written by the book, and
// throws at the first byte that it would have to guess about. Pure.

import assert from 'node:assert/strict';

export interface StrictRequest {
  method: string;
  path: string;
  /** As they were spelled, in order. */
  headers: [name: string, value: string][];
  body: string;
  trailers: [name: string, value: string][];
  chunked: boolean;
}

/** `latin1`: a character per byte. `rest`: a request that was begun and not ended. */
export function readRequests(latin1: string): { requests: StrictRequest[]; rest: string } {
  const requests: StrictRequest[] = [];
  let text = latin1;
  while (text.length > 0) {
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) break;
    const head = readHead(text.slice(0, end));
    const body = readBody(text.slice(end + 4), head.headers);
    if (!body) break;
    requests.push({ ...head, ...body.read });
    text = body.rest;
  }
  return { requests, rest: text };
}

function readHead(head: string): Pick<StrictRequest, 'method' | 'path' | 'headers'> {
  const [start = '', ...lines] = head.split('\r\n');
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\/[^\x00-\x20\x7f#]*|\*) HTTP\/1\.1$/.exec(start);
  assert.ok(match, `no start of a request: ${JSON.stringify(start.slice(0, 200))}`);
  const headers = lines.map(readLine);
  const count = (name: string) => headers.filter(([each]) => each.toLowerCase() === name).length;
  assert.equal(count('host'), 1, 'hosts');
  assert.ok(count('content-length') + count('transfer-encoding') <= 1, 'framed twice');
  return { method: match[1]!, path: match[2]!, headers };
}

function readLine(line: string): [string, string] {
  const match =
    /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)$/.exec(
      line,
    );
  assert.ok(match, `no header: ${JSON.stringify(line.slice(0, 200))}`);
  return [match[1]!, match[2]!];
}

function readBody(text: string, headers: StrictRequest['headers']) {
  const value = (name: string) => headers.find(([each]) => each.toLowerCase() === name)?.[1];
  const encoding = value('transfer-encoding');
  const length = value('content-length');
  if (encoding !== undefined) {
    assert.equal(encoding, 'chunked');
    return readChunks(text);
  }
  assert.match(length ?? '0', /^(?:0|[1-9]\d{0,14})$/);
  const bytes = Number(length ?? 0);
  if (text.length < bytes) return null;
  return { read: { body: text.slice(0, bytes), trailers: [], chunked: false }, rest: text.slice(bytes) };
}

function readChunks(text: string) {
  let body = '';
  let at = 0;
  for (;;) {
    const line = text.indexOf('\r\n', at);
    if (line < 0) return null;
    const size = text.slice(at, line);
    assert.match(size, /^(?:0|[1-9a-f][0-9a-f]{0,7})$/, 'no size of a chunk');
    const bytes = Number.parseInt(size, 16);
    at = line + 2;
    if (bytes === 0) break;
    if (text.length < at + bytes + 2) return null;
    body += text.slice(at, at + bytes);
    assert.equal(text.slice(at + bytes, at + bytes + 2), '\r\n', 'no end of a chunk');
    at += bytes + 2;
  }
  const trailers: [string, string][] = [];
  for (;;) {
    const line = text.indexOf('\r\n', at);
    if (line < 0) return null;
    if (line === at) break;
    trailers.push(readLine(text.slice(at, line)));
    at = line + 2;
  }
  return { read: { body, trailers, chunked: true }, rest: text.slice(at + 2) };
}
