// What a guest gets through its door, beside what slirp and passt give the same guest in the same run: bulk TCP by
// programs that do nothing but move bytes, and HTTPS by curl. The guest's own loopback is the most that its emulated
// CPU moves. Each figure stands beside what it would be if the guest's processor had a core alone, for other programs
// take turns with it. `npm run bench -- guest-network 5` repeats each five times; `--only door` leaves out the others.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { SandboxDetail } from '../src/protocol/api.ts';
import { originCa } from '../test/egress/fake-guest.ts';
import { Warren } from '../test/vm/harness.ts';
import { GATEWAY, type Nic, openNicMachine, readTemplate } from './network/nic.ts';
import { openOrigin } from './network/origin.ts';

const { values, positionals } = parseArgs({
  options: { only: { type: 'string', default: 'door,slirp,passt' } },
  allowPositionals: true,
});
const REPEATS = Number(positionals[0]) || 5;
const MIB = 1_024 ** 2;
const BULK_BYTES = 64 * MIB;
const BLOCKS = BULK_BYTES / (256 * 1_024);
const HOST = 'web.warren.test';
const CLOCK_TICKS = 100;
const wanted = (what: string) => values.only.split(',').includes(what);
const warren = new Warren({ hosts: [HOST] });
const origin = await openOrigin(BULK_BYTES);
const rows: Record<string, { median: number; perCore: number; samples: Sample[] }> = {};
/** The machine that is measured. */
let pid = 0;

/** Mbit/s as it was, and per second of the CPU that its busiest thread, the guest's processor, had. */
interface Sample {
  rate: number;
  perCore: number;
}

type Sh = (line: string) => Promise<string>;

try {
  const others = process.env['NODE_EXTRA_CA_CERTS'];
  const roots = join(warren.home, 'roots.pem');
  writeFileSync(roots, `${others ? readFileSync(others, 'utf8') : ''}\n${originCa.certificatePem}`);
  warren.env['NODE_EXTRA_CA_CERTS'] = roots;
  mkdirSync(join(warren.home, '.config/warren'), { recursive: true });
  const services = [origin.source, origin.sink, origin.http].map((hostService) => ({ hostService }));
  const allow = [...services, { host: HOST, ports: [origin.https], allowPrivate: true }];
  writeFileSync(join(warren.home, '.config/warren/config.json'), JSON.stringify({ egress: { allow } }));
  await warren.ok(['run', '--no-repo', '--name', 'bulk', '--', 'true']);
  const { template, machine } = await warren.json<SandboxDetail>(['show', 'bulk']);
  const record = await readTemplate(
    join(warren.env['WARREN_STORE']!, 'templates', template!, 'template.json'),
  );
  if (wanted('door')) {
    pid = machine!.pid;
    const sh: Sh = (line) => warren.sh('bulk', line);
    await bulk('the door', sh, 'host.warren.internal', `https://${HOST}:${origin.https}/`);
    await loopback(sh);
  }
  await warren.ok(['rm', '--force', 'bulk']);
  for (const nic of ['slirp', 'passt'] as const satisfies Nic[]) {
    if (!wanted(nic)) continue;
    const machine = await openNicMachine(nic, record);
    pid = machine.pid;
    try {
      const name = `--resolve ${HOST}:${origin.https}:${GATEWAY} -k https://${HOST}:${origin.https}/`;
      await bulk(nic, machine.sh, GATEWAY, name);
    } finally {
      await machine.close();
    }
  }
  print();
} finally {
  origin.close();
  await warren.close();
}

/** `host`: what leads to this computer's loopback. `url`: and curl's words for the HTTPS origin. */
async function bulk(what: string, sh: Sh, host: string, url: string): Promise<void> {
  await prepare(sh);
  await row(`TCP down, ${what}`, timed(`dd of=/dev/null bs=256k < /dev/tcp/${host}/${origin.source}`, sh));
  await row(
    `TCP up, ${what}`,
    timed(`dd if=/dev/zero bs=256k count=${BLOCKS} > /dev/tcp/${host}/${origin.sink}`, sh),
  );
  await curl(what, sh, url);
}

async function loopback(sh: Sh): Promise<void> {
  const server = `import { createServer } from 'node:net';
const chunk = Buffer.alloc(262144);
createServer({ allowHalfOpen: true }, (socket) => {
  let left = ${BULK_BYTES};
  const more = () => {
    for (; left > 0; left -= chunk.length) if (!socket.write(chunk)) return socket.once('drain', () => { left -= chunk.length; more(); });
    socket.end();
  };
  more();
  socket.resume();
}).listen(8001);
createServer((socket) => { socket.resume(); socket.on('end', () => socket.end()); }).listen(8002);
`;
  await sh(
    `cat > /tmp/server.mjs <<'X'\n${server}X\nsetsid node /tmp/server.mjs > /dev/null 2>&1 < /dev/null & sleep 3`,
  );
  const inGuest = (line: string) => async () => {
    const took = await sh(
      `bash -c 'a=$(date +%s%N); ${line}; b=$(date +%s%N); echo $((b - a))' 2> /dev/null`,
    );
    return (BULK_BYTES * 8) / 1e6 / (Number(took) / 1e9);
  };
  await row(
    'TCP down, the guest’s own loopback',
    inGuest('timeout 60 dd of=/dev/null bs=256k < /dev/tcp/127.0.0.1/8001'),
  );
  await row(
    'TCP up, the guest’s own loopback',
    inGuest(`timeout 60 dd if=/dev/zero bs=256k count=${BLOCKS} > /dev/tcp/127.0.0.1/8002`),
  );
}

async function prepare(sh: Sh): Promise<void> {
  await sh(`rm -f /dev/shm/bulk; head -c ${BULK_BYTES} /dev/zero > /dev/shm/bulk`);
}

/** The origin holds the watch. */
function timed(line: string, sh: Sh): () => Promise<number> {
  return async () => {
    const [rate] = await Promise.all([origin.next(), sh(`bash -c '${line}' 2> /dev/null`)]);
    return rate;
  };
}

async function curl(what: string, sh: Sh, url: string): Promise<void> {
  const speed = (line: string) => async () => (Number(await sh(line)) * 8) / 1e6;
  await row(`HTTPS down, ${what}`, speed(`curl -sS -o /dev/null -w '%{speed_download}' ${url}`));
  await row(
    `HTTPS up, ${what}`,
    speed(`curl -sS -o /dev/null -T /dev/shm/bulk -H Expect: -w '%{speed_upload}' ${url}`),
  );
}

async function row(name: string, measure: () => Promise<number>): Promise<void> {
  const samples: Sample[] = [];
  for (let nr = 0; nr < REPEATS; nr++) {
    const before = threads();
    const rate = await measure();
    const busiest = Math.max(...[...threads()].map(([id, seconds]) => seconds - (before.get(id) ?? 0)));
    samples.push({ rate, perCore: (BULK_BYTES * 8) / 1e6 / busiest });
  }
  const median = (key: keyof Sample) => samples.map((each) => each[key]).sort((a, b) => a - b)[REPEATS >> 1]!;
  rows[name] = { median: median('rate'), perCore: median('perCore'), samples };
  console.error(
    `${name}: ${Math.round(median('rate'))} Mbit/s, ${Math.round(median('perCore'))} with a core alone`,
  );
}

/** Seconds of CPU of each thread of the machine. */
function threads(): Map<string, number> {
  const folder = `/proc/${pid}/task`;
  return new Map(
    readdirSync(folder).map((id) => {
      const fields = readFileSync(join(folder, id, 'stat'), 'utf8')
        .split(') ')[1]!
        .split(' ');
      return [id, (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS];
    }),
  );
}

function print(): void {
  console.log('| what | Mbit/s | with a core alone |\n|---|---:|---:|');
  for (const [name, { median, perCore }] of Object.entries(rows))
    console.log(`| ${name} | ${Math.round(median)} | ${Math.round(perCore)} |`);
  mkdirSync('bench/results', { recursive: true });
  writeFileSync(
    'bench/results/guest-network.json',
    `${JSON.stringify({ repeats: REPEATS, rows }, null, 2)}\n`,
  );
}
