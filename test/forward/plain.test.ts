// Plain forwards: bytes both ways, half-close, ports in use, and whose programs may connect.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { after, describe, it } from 'node:test';
import { PlainForward, type Wanted } from '../../src/forward/plain.ts';
import { isOwnPeer, uidOf } from '../../src/host/peer.ts';
import { bind, closed, openGuest } from './fake-guest.ts';

const guest = await openGuest();
const forwards: PlainForward[] = [];
after(() => {
  for (const forward of forwards) forward.close();
});
async function open(wanted: Partial<Wanted> = {}, parts = guest.parts): Promise<PlainForward> {
  const all = { sandbox: 'demo', port: 8000, hostPort: null, ...wanted };
  const forward = await PlainForward.open(all, parts, guest.connections);
  forwards.push(forward);
  return forward;
}

describe('a forward', () => {
  it('passes bytes both ways and each half’s end', async () => {
    await guest.serve(
      8000,
      createServer({ allowHalfOpen: true }, (socket) => {
        let bytes = 0;
        socket.on('data', (chunk) => {
          bytes += chunk.length;
        });
        socket.on('end', () => socket.end(String(bytes)));
      }),
    );
    const { hostPort } = await open();
    const socket = connect({ port: hostPort, host: '127.0.0.1', allowHalfOpen: true });
    socket.end(Buffer.alloc(3_000_000));
    let said = '';
    for await (const chunk of socket) said += chunk;
    assert.equal(said, '3000000');
  });

  it('listens on 127.0.0.1 only', async () => {
    const { hostPort } = await open();
    const socket = connect({ port: hostPort, host: '::1' });
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNREFUSED');
  });

  it('to a sandbox that does not run, or a port where nobody listens, ends at once', async () => {
    for (const wanted of [{ sandbox: 'paused' }, { port: 9 }]) {
      const { hostPort } = await open(wanted);
      const socket = connect(hostPort, '127.0.0.1');
      await closed(socket);
    }
  });

  it('ends its connections when the guest’s break', async () => {
    await guest.serve(
      8001,
      createServer((socket) => setTimeout(() => socket.resetAndDestroy(), 20)),
    );
    const { hostPort } = await open({ port: 8001 });
    const socket = connect(hostPort, '127.0.0.1');
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNRESET');
  });

  it('takes another port when its own is taken, unless one was asked for', async () => {
    const taken = createServer();
    const port = await bind(taken);
    after(() => taken.close());
    assert.notEqual((await open({ port })).hostPort, port);
    await assert.rejects(open({ hostPort: port }), (error: Error & { code: string; remedy: string }) => {
      assert.equal(error.code, 'forward.port-taken');
      assert.match(error.remedy, /warren forward demo 8000$/);
      return true;
    });
    const low = await open({ port: 80 });
    assert.ok(low.hostPort >= 1024);
  });

  it('of a port that is none, or that the system has, is refused', async () => {
    for (const wanted of [
      { port: 0 },
      { port: 65_536 },
      { port: 1.5 },
      { hostPort: 80 },
      { hostPort: 70_000 },
    ])
      await assert.rejects(open(wanted), { code: 'usage.port' });
  });
});

describe('whose connection it is', () => {
  const asRoot = process.getuid?.() === 0;
  const listening = async () => {
    const { hostPort } = await open({}, { ...guest.parts, isOwn: isOwnPeer });
    return hostPort;
  };
  const asking = (port: number, uid?: number) => {
    const program = `const s=require('net').connect({port:${port},host:'127.0.0.1',allowHalfOpen:true});s.end('abc');s.on('data',(c)=>process.stdout.write(c));s.on('error',()=>{})`;
    const child = spawn(process.execPath, ['-e', program], {
      ...(uid !== undefined && { uid, gid: uid }),
      cwd: '/',
    });
    let said = '';
    child.stdout.on('data', (chunk) => {
      said += chunk;
    });
    return once(child, 'close').then(() => said);
  };

  it('our own programs come through', async () => {
    assert.equal(await asking(await listening()), '3');
  });

  it('another user’s do not', { skip: asRoot ? false : 'only root can be another user' }, async () => {
    const before = guest.opened.length;
    assert.equal(await asking(await listening(), 65_534), '');
    assert.equal(guest.opened.length, before);
  });

  it('is read from the kernel’s table', () => {
    const line = (local: string, remote: string, uid: number, inode: number) =>
      `   1: ${local} ${remote} 01 00000000:00000000 00:00000000 00000000 ${uid}        0 ${inode} 1 0`;
    const ends = { remoteAddress: '127.0.0.1', remotePort: 4660, localAddress: '127.0.0.1', localPort: 80 };
    const four = line('0100007F:1234', '0100007F:0050', 1000, 9);
    assert.equal(uidOf(ends, `head\n${four}\n`), 1000);
    assert.equal(uidOf(ends, line('0100007F:0050', '0100007F:1234', 1000, 9)), undefined);
    assert.equal(uidOf(ends, line('0100007F:1234', '0100007F:0050', 0, 0)), undefined);
    const mapped = '0000000000000000FFFF00000100007F';
    assert.equal(uidOf(ends, line(`${mapped}:1234`, `${mapped}:0050`, 5, 9)), 5);
    const six = { ...ends, remoteAddress: '::1', localAddress: '::1' };
    const one = '00000000000000000000000001000000';
    assert.equal(uidOf(six, line(`${one}:1234`, `${one}:0050`, 7, 9)), 7);
    assert.equal(uidOf({ ...ends, remoteAddress: undefined }, four), undefined);
  });
});
