// Stable names: which requests are let through, and what a hostile guest's answers can and cannot do.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp, type IncomingMessage, request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { before, describe, it } from 'node:test';
import { canned, closed, openGuest, status } from './fake-guest.ts';

const get = (host: string, more = '', path = '/') =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${more}\r\n`;

const main = await openGuest();
const hostile = await openGuest({ pipelined: 4 });
const streaming = await openGuest();

describe('a request to a stable name', () => {
  const guest = main;
  const { port } = guest.names;
  const name = `8000-demo.localhost:${port}`;
  const seen: IncomingMessage[] = [];
  const bodies: string[] = [];
  const server = createHttp(async (incoming, response) => {
    seen.push(incoming);
    let body = '';
    for await (const chunk of incoming) body += chunk;
    bodies.push(body);
    response.setHeader('Set-Cookie', ['a=1; Domain=localhost; Path=/', 'b=2; HttpOnly']);
    response.setHeader('Alt-Svc', 'h2=":9"');
    response.end(`${incoming.method} ${incoming.url}`);
  });
  before(() => guest.serve(8000, server));

  it('reaches the port, with its Host and who forwarded it', async () => {
    const said = await guest.raw(get(name, 'X-Forwarded-Host: evil\r\nForwarded: for=evil\r\n', '/a?b=c'));
    assert.equal(status(said), 200);
    assert.match(said, /GET \/a\?b=c/);
    const { headers } = seen.at(-1)!;
    assert.equal(headers.host, name);
    assert.equal(headers['x-forwarded-host'], name);
    assert.equal(headers['x-forwarded-proto'], 'http');
    assert.equal(headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(headers.forwarded, undefined);
    assert.equal(guest.opened.at(-1), 'demo:8000');
  });

  it('keeps cookies to the name that set them, and adds no CORS', async () => {
    const said = await guest.raw(get(name));
    assert.match(said, /Set-Cookie: a=1; Path=\/\r\nSet-Cookie: b=2; HttpOnly\r\n/i);
    assert.doesNotMatch(said, /alt-svc|access-control/i);
  });

  it('takes bodies with a length and in chunks, and keeps the connection', async () => {
    const first = `POST /one HTTP/1.1\r\nHost: ${name}\r\nContent-Length: 3\r\n\r\nabc`;
    const second = `POST /two HTTP/1.1\r\nHost: ${name}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nde\r\n0\r\n\r\n`;
    const said = await guest.raw(first + second);
    assert.match(said, /POST \/one[\s\S]*POST \/two/);
    assert.deepEqual(bodies.slice(-2).sort(), ['abc', 'de']);
  });

  for (const [what, host, expected] of [
    ['a foreign name', 'evil.example', 421],
    ['a foreign name with our port', () => `evil.example:${port}`, 421],
    ['a literal address', () => `127.0.0.1:${port}`, 421],
    ['bare localhost', () => `localhost:${port}`, 421],
    ['another port', '8000-demo.localhost:444', 421],
    ['a name that only begins like one', () => `8000-demo.localhost.evil.example:${port}`, 421],
    ['a name with a last dot', () => `8000-demo.localhost.:${port}`, 421],
    ['a name under a name', () => `x.8000-demo.localhost:${port}`, 421],
    ['a port out of range', () => `70000-demo.localhost:${port}`, 421],
    ['a user in front', () => `a@8000-demo.localhost:${port}`, 421],
    ['an unknown sandbox', () => `8000-nobody.localhost:${port}`, 404],
    ['a paused sandbox', () => `8000-paused.localhost:${port}`, 503],
  ] as const) {
    it(`for ${what} is answered ${expected}`, async () => {
      const before = guest.opened.length;
      const said = await guest.raw(get(typeof host === 'string' ? host : host()));
      assert.equal(status(said), expected);
      if (expected === 421) assert.equal(guest.opened.length, before);
      assert.doesNotMatch(said, /access-control/i);
    });
  }

  for (const [what, bytes] of [
    ['two Host headers', get(name, 'Host: evil.example\r\n')],
    ['no Host', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ['an absolute address', get(name, '', `http://9000-other.localhost:${port}/`)],
    ['CONNECT', `CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: ${name}\r\n\r\n`],
    ['two lengths', get(name, 'Content-Length: 0\r\nContent-Length: 5\r\n')],
    ['length and chunks', get(name, 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n')],
    ['another coding', get(name, 'Transfer-Encoding: gzip, chunked\r\n')],
    ['two codings', get(name, 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n')],
    ['chunks in HTTP/1.0', `POST / HTTP/1.0\r\nHost: ${name}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['a folded header', get(name, 'X: a\r\n b\r\n')],
    ['a space before the colon', get(name, 'Transfer-Encoding : chunked\r\n')],
    ['a bare CR', get(name, 'X: a\rTransfer-Encoding: chunked\r\n')],
  ] as const) {
    it(`with ${what} is refused`, async () => {
      const before = guest.opened.length;
      const said = await guest.raw(bytes);
      assert.equal(status(said), 400, said);
      assert.equal(guest.opened.length, before);
    });
  }

  it('cannot have headers left out that decide where it goes', async () => {
    await guest.raw(
      `POST / HTTP/1.1\r\nHost: ${name}\r\nContent-Length: 2\r\nConnection: close, host, content-length, x-a\r\nX-A: 1\r\n\r\nhi`,
    );
    assert.equal(seen.at(-1)!.headers.host, name);
    assert.equal(seen.at(-1)!.headers['x-a'], undefined);
    assert.equal(bodies.at(-1), 'hi');
  });

  it('of another site’s page is refused, but for opening a page', async () => {
    const cross = (mode: string, dest: string) =>
      `Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: ${mode}\r\nSec-Fetch-Dest: ${dest}\r\n`;
    for (const more of [
      'Origin: http://evil.example\r\n',
      'Origin: null\r\n',
      `Origin: http://8000-other.localhost:${port}\r\n`,
      cross('no-cors', 'image'),
      cross('navigate', 'iframe'),
    ])
      assert.equal(status(await guest.raw(get(name, more))), 403, more);
    for (const more of [
      `Origin: http://3000-demo.localhost:${port}\r\n`,
      cross('navigate', 'document'),
      `${cross('no-cors', 'image')}Referer: http://3000-demo.localhost:${port}/page\r\n`,
      'Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n',
    ])
      assert.equal(status(await guest.raw(get(name, more))), 200, more);
    const post = `POST / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\nContent-Length: 0\r\n${cross('navigate', 'document')}\r\n`;
    assert.equal(status(await guest.raw(post)), 403);
  });

  it('is for this user’s programs only', async () => {
    const foreign = await openGuest({}, { isOwn: async () => false });
    const said = await foreign.raw(get(`8000-demo.localhost:${foreign.names.port}`));
    assert.doesNotMatch(said, /HTTP/);
    assert.deepEqual(foreign.opened, []);
  });

  it('where nobody listens names what does, safely', async () => {
    const text = await guest.raw(get(`9-demo.localhost:${port}`));
    assert.equal(status(text), 502);
    assert.match(text, new RegExp(`http://8000-demo.localhost:${port}/ {2}<b>py\\\\x1bthon`));
    const html = await guest.raw(get(`9-demo.localhost:${port}`, 'Accept: text/html\r\n'));
    assert.match(html, /Content-Security-Policy: default-src 'none'/);
    assert.match(html, /&#60;b&#62;py/);
    assert.doesNotMatch(html, /<b>/);
  });

  it('is served on ::1 as well', async () => {
    const socket = connect({ port, host: '::1' });
    socket.write(get(name));
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    assert.match(chunk.toString(), /^HTTP\/1\.1 200/);
    socket.destroy();
  });
});

describe('limits', () => {
  it('connections of one sandbox', async () => {
    const guest = await openGuest({ connections: 2 });
    await guest.serve(
      8000,
      createServer(() => {}),
    );
    const name = `8000-demo.localhost:${guest.names.port}`;
    const held = [1, 2].map(() => {
      const socket = connect(guest.names.port, '127.0.0.1');
      socket.write(get(name));
      return socket;
    });
    while (guest.connections.count('demo') < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(status(await guest.raw(get(name))), 503);
    for (const socket of held) socket.destroy();
    while (guest.connections.count('demo') > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it('bytes and time of a head', async () => {
    const guest = await openGuest({ headerBytes: 4096, headMs: 200 });
    const name = `8000-demo.localhost:${guest.names.port}`;
    assert.equal(status(await guest.raw(get(name, `X: ${'a'.repeat(5000)}\r\n`))), 400);
    await guest.raw(`GET / HTTP/1.1\r\nHost: ${name}\r\n`);
    assert.deepEqual(guest.opened, []);
  });

  it('time until a port opens', async () => {
    const guest = await openGuest({ openMs: 50 }, { openPort: () => new Promise(() => {}) });
    assert.equal(status(await guest.raw(get(`8000-demo.localhost:${guest.names.port}`))), 503);
    assert.equal(guest.connections.count('demo'), 0);
  });

  it('a slow client holds the guest back', async () => {
    const guest = await openGuest();
    let written = 0;
    const chunk = Buffer.alloc(64 * 1024);
    await guest.serve(
      8000,
      createHttp((_, response) => {
        const more = () => {
          while (!response.destroyed && response.write(chunk)) written += chunk.length;
        };
        response.on('drain', more);
        more();
      }),
    );
    const client = request({
      port: guest.names.port,
      headers: { host: `8000-demo.localhost:${guest.names.port}` },
    });
    client.end();
    const [answer] = (await once(client, 'response')) as [IncomingMessage];
    answer.pause();
    let before = -1;
    while (before !== written) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.ok(written < 64 * 1024 * 1024, `${written} bytes are held`);
    client.destroy();
  });
});

describe('a hostile answer', () => {
  const guest = hostile;
  let next = 9000;
  const ask = async (answer: string | Buffer, more = '') => {
    const port = next++;
    await guest.serve(port, canned(answer));
    return await guest.raw(get(`${port}-demo.localhost:${guest.names.port}`, more));
  };

  for (const [what, answer] of [
    ['no HTTP', 'SSH-2.0-x\r\n'],
    ['nothing', ''],
    ['a switch that nobody asked for', 'HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'],
    [
      'length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a strange status', 'HTTP/1.1 999 X\r\n\r\n'],
    ['an endless head', `HTTP/1.1 200 OK\r\n${'X: yyyyyyyyyyyyyyyyyyyyyyyyyy\r\n'.repeat(30_000)}\r\n`],
    ['a bare CR in a header', 'HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b=1\r\n\r\n'],
    ['a control character in the status line', 'HTTP/1.1 200 a\u0001b\r\nContent-Length: 0\r\n\r\n'],
    ['a NUL in a header', 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n'],
  ] as const) {
    it(`of ${what} is a page of ours`, async () => {
      const said = await ask(answer);
      assert.equal(status(said), 502, said);
      assert.doesNotMatch(said, /Set-Cookie/);
    });
  }

  it('that is cut short does not look whole', async () => {
    assert.match(await ask('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'), /\[reset\]|abc$/);
    const chunked = await ask('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    assert.doesNotMatch(chunked, /0\r\n\r\n$/);
  });

  it('with more after its end says nothing to the next request', async () => {
    const said = await ask(
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n',
    );
    assert.match(said, /ok$/);
    assert.doesNotMatch(said, /evil/);
  });

  it('has all of its headers', async () => {
    const many = Array.from({ length: 3000 }, (_, nr) => `X-${nr}: 1\r\n`).join('');
    assert.match(await ask(`HTTP/1.1 200 OK\r\n${many}Content-Length: 0\r\n\r\n`), /X-2999: 1/);
  });

  it('until the connection ends arrives whole', async () => {
    assert.match(await ask('HTTP/1.0 200 OK\r\n\r\nall of it'), /all of it/);
  });
});

describe('streams', () => {
  const guest = streaming;
  const name = `8000-demo.localhost:${guest.names.port}`;
  const events: Socket[] = [];
  const server = createHttp((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
    events.push(response.socket!);
  });
  server.on('upgrade', (incoming: IncomingMessage, socket: Socket) => {
    if (incoming.url === '/no') return socket.end('HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${incoming.headers['sec-websocket-key']}\r\nSet-Cookie: a=1; domain=localhost\r\n\r\nfirst`,
    );
    socket.on('data', (chunk) => socket.write(chunk));
    socket.on('end', () => socket.end('last'));
  });
  before(() => guest.serve(8000, server));
  const upgrade = (path: string, more = '') =>
    `GET ${path} HTTP/1.1\r\nHost: ${name}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: key\r\n${more}\r\n`;

  it('server-sent events come as they are sent, and end with the client', async () => {
    const client = request({ port: guest.names.port, headers: { host: name } });
    client.end();
    const [answer] = (await once(client, 'response')) as [IncomingMessage];
    const [chunk] = (await once(answer, 'data')) as [Buffer];
    assert.equal(chunk.toString(), 'data: 1\n\n');
    const ended = closed(events[0]!);
    client.destroy();
    await ended;
  });

  it('WebSockets pass, bytes before and after the switch, and half-close', async () => {
    const socket = connect({ port: guest.names.port, host: '127.0.0.1', allowHalfOpen: true });
    let said = '';
    socket.on('data', (chunk) => {
      said += chunk;
    });
    socket.write(`${upgrade('/')}early`);
    while (!said.includes('early')) await once(socket, 'data');
    assert.match(said, /^HTTP\/1\.1 101 /);
    assert.match(said, /Sec-WebSocket-Accept: key/);
    assert.match(said, /Set-Cookie: a=1\r\n/);
    socket.end('late');
    await once(socket, 'end');
    assert.match(said, /firstearlylatelast$/);
    while (guest.connections.count('demo') > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it('WebSockets of other sites and sandboxes are refused; so is one that the guest refuses', async () => {
    const before = guest.opened.length;
    for (const origin of ['http://evil.example', `http://1-other.localhost:${guest.names.port}`])
      assert.equal(status(await guest.raw(upgrade('/', `Origin: ${origin}\r\n`))), 403);
    assert.equal(guest.opened.length, before);
    const said = await guest.raw(upgrade('/no', `Origin: http://${name}\r\n`));
    assert.equal(status(said), 403);
    assert.match(said, /no$/);
  });

  it('a WebSocket that its guest leaves waiting ends with its client', async () => {
    await guest.serve(
      8002,
      createServer({ allowHalfOpen: true }, () => {}),
    );
    const socket = connect({ port: guest.names.port, host: '127.0.0.1' });
    const before = guest.connections.count('demo');
    socket.write(upgrade('/').replace('8000', '8002'));
    while (guest.connections.count('demo') === before) await new Promise((resolve) => setTimeout(resolve, 5));
    socket.destroy();
    while (guest.connections.count('demo') > before) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it('a WebSocket or CONNECT behind a request that has no answer yet ends the connection, and no other', async () => {
    await guest.serve(
      8001,
      createServer(() => {}),
    );
    const silent = name.replace('8000', '8001');
    const first = `GET / HTTP/1.1\r\nHost: ${silent}\r\n\r\n`;
    for (const second of [upgrade('/'), first.replace('GET', 'CONNECT')])
      assert.equal(await guest.raw(first + second), '[reset]');
    assert.equal(status(await guest.raw(get(name), /data/)), 200);
  });

  it('an upgrade to something else is answered in HTTP/1.1', async () => {
    const said = await guest.raw(
      `GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n`,
      /data: 1/,
    );
    assert.equal(status(said), 200);
  });

  it('all end when the sandbox pauses', async () => {
    const socket = connect(guest.names.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(upgrade('/'));
    await once(socket, 'data');
    const ended = closed(socket);
    guest.connections.drop('demo');
    await ended;
    assert.equal(guest.connections.count('demo'), 0);
  });
});
