// What a guest gets through its door: bulk TCP and intercepted HTTPS, both ways, beside its own loopback, which is the
// most that its emulated CPU can move. `npm run bench -- network 5` repeats each five times.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { listenOn, originCa, tlsOrigin } from '../test/egress/fake-guest.ts';
import { Warren } from '../test/vm/harness.ts';

const REPEATS = Number(process.argv[2]) || 5;
const MIB = 1_024 ** 2;
const BULK_BYTES = 128 * MIB;
const HOST = 'web.warren.test';
const chunk = Buffer.alloc(MIB, 'x');
const warren = new Warren({ hosts: [HOST] });

/** GET sends as much as there is; PUT takes whatever comes. */
const server = createServer(async (request, response) => {
  if (request.method === 'PUT') {
    for await (const _ of request);
    response.end();
    return;
  }
  response.writeHead(200, { 'content-length': BULK_BYTES });
  for (let sent = 0; sent < BULK_BYTES && !response.destroyed; sent += MIB)
    if (!response.write(chunk)) await new Promise((resolve) => response.once('drain', resolve));
  response.end();
});

try {
  const plain = await listenOn(server);
  const secure = await tlsOrigin((socket) => void server.emit('connection', socket));
  const others = process.env['NODE_EXTRA_CA_CERTS'];
  const roots = join(warren.home, 'roots.pem');
  writeFileSync(roots, `${others ? readFileSync(others, 'utf8') : ''}\n${originCa.certificatePem}`);
  warren.env['NODE_EXTRA_CA_CERTS'] = roots;
  mkdirSync(join(warren.home, '.config/warren'), { recursive: true });
  const allow = [{ hostService: plain }, { host: HOST, ports: [secure.port], allowPrivate: true }];
  writeFileSync(join(warren.home, '.config/warren/config.json'), JSON.stringify({ egress: { allow } }));
  await warren.ok(['run', '--no-repo', '--name', 'bulk', '--', 'true']);
  await warren.sh(
    'bulk',
    `head -c ${BULK_BYTES} /dev/zero > /dev/shm/bulk; cat > s.mjs <<'X'\nimport { createServer } from 'node:http';\nconst c = Buffer.alloc(${MIB});\ncreateServer(async (q, r) => { if (q.method === 'PUT') { for await (const _ of q); return r.end(); } r.writeHead(200, { 'content-length': ${BULK_BYTES} }); for (let n = 0; n < ${BULK_BYTES}; n += ${MIB}) if (!r.write(c)) await new Promise((o) => r.once('drain', o)); r.end(); }).listen(8000);\nX\nsetsid node s.mjs > /dev/null 2>&1 < /dev/null &\nuntil curl -s -o /dev/null -X PUT localhost:8000; do sleep 0.2; done`,
  );
  console.log('\n| what | median | unit |\n|---|---:|---|');
  for (const [what, url] of [
    ['TCP through the door', `http://host.warren.internal:${plain}/`],
    ['intercepted HTTPS through the door', `https://${HOST}:${secure.port}/`],
    ['the guest’s own loopback', 'http://localhost:8000/'],
  ] as const) {
    await row(`${what}, down`, () => speed(`curl -sS -o /dev/null -w '%{speed_download}' ${url}`));
    await row(`${what}, up`, () =>
      speed(`curl -sS -o /dev/null -T /dev/shm/bulk -H Expect: -w '%{speed_upload}' ${url}`),
    );
  }
  secure.close();
} finally {
  server.close();
  server.closeAllConnections();
  await warren.close();
}

async function row(what: string, measure: () => Promise<number>): Promise<void> {
  const samples: number[] = [];
  for (let nr = 0; nr < REPEATS; nr++) samples.push(await measure());
  samples.sort((a, b) => a - b);
  console.log(`| ${what} | ${Math.round(samples[Math.floor(REPEATS / 2)]!)} | Mbit/s |`);
}

async function speed(line: string): Promise<number> {
  return (Number(await warren.sh('bulk', line)) * 8) / 1e6;
}
