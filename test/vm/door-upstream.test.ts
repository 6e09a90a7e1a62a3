// A machine whose door has no way out but a proxy of the user's: names are resolved there, and the rules stand before it.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { before, it } from 'node:test';
import { listenOn } from '../egress/fake-guest.ts';
import { atEnd, audited, openDoorWarren, origin, web } from './door-origins.ts';
import { removeAfter, write } from './harness.ts';

const warren = openDoorWarren();
/** What the proxy was asked for. */
const wanted: string[] = [];

before(async () => {
  const { port } = await origin(web().listener, { secure: false });
  const sockets = new Set<Socket>();
  const proxy = createServer();
  proxy.on('connection', (socket: Socket) => sockets.add(socket));
  proxy.on('connect', ({ url }, socket) => {
    wanted.push(url!);
    const up = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(up).pipe(socket);
    });
    sockets.add(up);
    for (const side of [up, socket]) side.on('error', () => {});
  });
  atEnd(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const settings = {
    upstreamProxy: `http://127.0.0.1:${await listenOn(proxy as never)}`,
    egress: { allow: [{ host: 'inside.invalid', http: true }] },
  };
  write(join(warren.home, '.config/warren'), { 'config.json': JSON.stringify(settings) });
});

it('a machine behind a proxy reaches by it what a rule allows, and nothing else', {
  timeout: 600_000,
}, async (t) => {
  removeAfter(t, warren, 'behind');
  await warren.ok(['run', '--no-repo', '--name', 'behind', '--', 'true']);
  const get = (url: string) => warren.sh('behind', `curl -sS --max-time 60 ${url}`);
  assert.equal(await get('http://inside.invalid/'), 'hello from inside.invalid\n');
  assert.match(await get('http://other.invalid/'), /no rule allows it/);
  assert.deepEqual(wanted, ['inside.invalid:80']);
  const { decision } = await audited(warren, 'behind', ({ host }) => host === 'inside.invalid');
  assert.equal(decision, 'allow');
});
