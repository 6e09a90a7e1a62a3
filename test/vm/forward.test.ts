// Ports of a real machine: stable names and forwards, over a daemon's death, pause, stop and removal.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { DaemonInfo, SandboxDetail } from '../../src/protocol/api.ts';
import type { ForwardView, PortsView } from '../../src/protocol/forwards.ts';
import { command, openWarren, removeAfter, until } from './harness.ts';

const warren = openWarren();

const SERVER = `
const http = require('http');
const server = http.createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  let nr = 0;
  const timer = setInterval(() => response.write('data: ' + ++nr + '\\n\\n'), 50);
  response.on('close', () => { clearInterval(timer); console.log('closed'); });
});
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n');
  socket.pipe(socket);
});
server.listen(9000, '127.0.0.1');
`;

const curl = async (url: string, ...more: string[]) =>
  await command('curl', ['-sS', '--noproxy', '*', '--max-time', '20', ...more, url], { env: warren.env });
const ports = (name = 'web') => warren.json<PortsView>(['forward', 'ls', name]);

/** Resolves once a connection to a forward has ended without a byte. */
function cutOff(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {}).on('data', () => reject(new Error('there was an answer')));
    socket.once('close', () => resolve());
  });
}

describe('ports of a machine', () => {
  it('are reached from the host, as long as it runs', async (t) => {
    const repository = warren.repository('web', { 'index.html': 'from the guest\n', 'server.js': SERVER });
    removeAfter(t, warren, 'web');
    await warren.ok(['up', '--detach'], { cwd: repository });
    assert.deepEqual((await ports()).listening, []);
    await warren.sh(
      'web',
      'setsid python3 -m http.server 8000 >/tmp/py.log 2>&1 & setsid node server.js >/tmp/node.log 2>&1 &',
    );
    const view = await until('both servers listen', async () => {
      const now = await ports();
      return now.listening.length === 2 ? now : undefined;
    });
    const names = view.names.port!;
    assert.deepEqual(
      view.listening.map(({ port, url }) => [port, url]),
      [8000, 9000].map((port) => [port, `http://${port}-web.localhost:${names}/`]),
    );

    // Stable names.
    assert.equal((await curl(view.listening[0]!.url!)).stdout, 'from the guest\n');
    const nobody = await curl(`http://9-web.localhost:${names}/`, '-w', '%{http_code}');
    assert.match(
      nobody.stdout,
      new RegExp(`Nothing listens[^]*http://8000-web\\.localhost:${names}/ +python3[^]*502$`),
    );
    const rebound = await curl(
      `http://127.0.0.1:${names}/`,
      '-H',
      'Host: evil.example',
      '-w',
      '%{http_code}',
    );
    assert.match(rebound.stdout, /421$/);
    const client = request({ port: names, headers: { host: `9000-web.localhost:${names}` } });
    client.end();
    const [answer] = (await once(client, 'response')) as [IncomingMessage];
    // On a busy computer the next ones have come with it.
    assert.match(String((await once(answer, 'data'))[0]), /^data: 1\n\n/);
    client.destroy();
    await until(
      'the guest sees that the client has gone',
      async () => (await warren.sh('web', 'cat /tmp/node.log')).includes('closed') || undefined,
    );
    const socket = connect(names, '127.0.0.1').setEncoding('utf8');
    socket.on('error', () => {});
    socket.write(
      `GET / HTTP/1.1\r\nHost: 9000-web.localhost:${names}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    );
    assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 101 /);
    socket.write('hello');
    assert.equal(String((await once(socket, 'data'))[0]), 'hello');

    // A server that says something and is gone at once.
    await warren.sh(
      'web',
      `setsid node -e "require('net').createServer((s) => s.end('banner')).listen(9001)" >/dev/null 2>&1 &`,
    );
    const banner = await until('a third server', async () =>
      (await ports()).listening.length === 3
        ? await warren.json<ForwardView>(['forward', 'web', '9001'])
        : undefined,
    );
    for (let nr = 0; nr < 100; nr++) {
      const once = connect(banner.hostPort, '127.0.0.1');
      let said = '';
      for await (const chunk of once) said += chunk;
      assert.equal(said, 'banner');
    }
    await warren.ok(['forward', 'rm', 'web', '9001']);

    // A forward, and another daemon.
    const forward = await warren.json<ForwardView>(['forward', 'web', '8000']);
    assert.equal((await curl(`http://127.0.0.1:${forward.hostPort}/`)).stdout, 'from the guest\n');
    await warren.fails(['forward', 'web', '9000:80'], 'usage.port');
    await warren.fails(['forward', 'web', `9000:${forward.hostPort}`], 'forward.port-taken');
    const { pid } = await warren.json<DaemonInfo>(['daemon', 'status']);
    const cut = once(socket, 'close');
    process.kill(pid, 'SIGKILL');
    await cut;
    const again = await ports();
    assert.deepEqual(again.forwards, [forward]);
    assert.equal(again.names.port, names);
    assert.equal((await curl(`http://127.0.0.1:${forward.hostPort}/`)).stdout, 'from the guest\n');
    assert.equal((await curl(`http://8000-web.localhost:${names}/`)).stdout, 'from the guest\n');

    // A large file, whole.
    await warren.sh('web', 'head -c 50000000 /dev/urandom > big');
    const sum = (await warren.sh('web', 'sha256sum < big')).split(' ')[0];
    for (const url of [
      `http://8000-web.localhost:${names}/big`,
      `http://127.0.0.1:${forward.hostPort}/big`,
    ]) {
      const file = join(warren.home, 'big');
      await curl(url, '-o', file);
      assert.equal((await command('sha256sum', [file])).stdout.split(' ')[0], sum);
    }

    // Paused and stopped: what is open ends, what comes ends at once, and the forward stays.
    const held = request({ port: names, headers: { host: `9000-web.localhost:${names}` } });
    held.on('error', () => {});
    held.end();
    const [stream] = (await once(held, 'response')) as [IncomingMessage];
    stream.on('error', () => {}).resume();
    const ended = new Promise((resolve) => stream.once('close', resolve));
    await warren.ok(['pause', 'web']);
    await ended;
    await cutOff(forward.hostPort);
    assert.match((await curl(`http://8000-web.localhost:${names}/`, '-w', '%{http_code}')).stdout, /503$/);
    await warren.ok(['resume', 'web']);
    assert.equal((await curl(`http://127.0.0.1:${forward.hostPort}/`)).code, 0);
    await warren.ok(['stop', 'web']);
    await cutOff(forward.hostPort);

    // Removed: nothing is left.
    const { folder } = await warren.json<SandboxDetail>(['show', 'web']);
    assert.ok(existsSync(join(folder, 'forwards.json')));
    await warren.ok(['rm', '--force', 'web']);
    assert.ok(!existsSync(folder));
    assert.equal((await curl(`http://127.0.0.1:${forward.hostPort}/`)).code, 7, 'connection refused');
    assert.match((await curl(`http://8000-web.localhost:${names}/`, '-w', '%{http_code}')).stdout, /404$/);
  });

  it('`forward rm` ends one, and again is fine', async (t) => {
    removeAfter(t, warren, 'two');
    await warren.ok(['up', '--detach', '--name', 'two'], { cwd: warren.repository('two') });
    const { hostPort } = await warren.json<ForwardView>(['forward', 'two', '5432']);
    assert.equal((await warren.json<ForwardView>(['forward', 'two', '5432'])).hostPort, hostPort);
    // What is taken by Warren itself is called by its name, and one that ends for another is told.
    const taken = await warren.fails(['forward', 'two', `5433:${hostPort}`], 'forward.port-taken');
    assert.match(
      taken.stderr,
      /it leads to port 5432 of sandbox "two"[\s\S]*warren forward rm two 5432; or /,
    );
    const names = (await ports('two')).names.port!;
    const named = await warren.fails(['forward', 'two', `5433:${names}`], 'forward.port-taken');
    assert.match(named.stderr, /stable names are there/);
    const free = await warren.json<ForwardView>(['forward', 'two', '5434']);
    await warren.ok(['forward', 'rm', 'two', '5434']);
    const moved = await warren.run(['forward', 'two', `5432:${free.hostPort}`]);
    assert.match(moved.stderr, new RegExp(`notice: 127\\.0\\.0\\.1:${hostPort} led there until now`));
    const wrongPort = await warren.run(['forward', 'rm', 'two', String(free.hostPort)]);
    assert.match(
      wrongPort.stderr,
      /was not forwarded; .* leads to its port 5432: warren forward rm two 5432/,
    );
    assert.equal((await curl(`http://127.0.0.1:${hostPort}/`)).code, 7);
    await warren.ok(['forward', 'rm', 'two', '5432']);
    await warren.ok(['forward', 'rm', 'two', '5432']);
    assert.equal((await curl(`http://127.0.0.1:${hostPort}/`)).code, 7);
    assert.deepEqual((await ports('two')).forwards, []);
  });
});
