// What the door costs, on the host alone: guest, door and origin are three processes on loopback. Figures of one run
// compare with each other. `npm run bench -- door 5` repeats each five times; `--only bulk,held` leaves out the other
// sections, `--exact 6` carries 6 GiB each way, and `--profile` writes the door's CPU profile.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { DOOR_ENVIRONMENT, DOOR_NODE_FLAGS } from '../src/egress/door/node-flags.ts';
import { Authority, createAuthority } from '../src/egress/tls/authority.ts';
import { processUse } from '../src/host/processes.ts';
import type { Latency, Load, OriginPorts } from './door/words.ts';

const { values, positionals } = parseArgs({
  options: {
    profile: { type: 'boolean', default: false },
    only: { type: 'string', default: 'requests,latency,bulk,held,exact' },
    exact: { type: 'string', default: '1' },
  },
  allowPositionals: true,
});
const REPEATS = Number(positionals[0]) || 5;
const PROFILE = values.profile;
const wanted = (section: string) => values.only.split(',').includes(section);
const MIB = 1_024 ** 2;
const BULK_BYTES = 256 * MIB;
const MOST_FLOWS = 512;
const HELD = [
  ['https', 'answered', 'intercepted flows after a request'],
  ['https', 'unread', 'intercepted flows whose downloads nobody reads'],
  ['https', 'untaken', 'intercepted flows whose uploads nobody takes'],
  ['tcp', 'unread', 'TCP flows whose downloads nobody reads'],
  ['tcp', 'untaken', 'TCP flows whose uploads nobody takes'],
] as const;
const folder = mkdtempSync(join(tmpdir(), 'warren-bench-'));
const children: ChildProcess[] = [];
let folders = 0;
const rows: Record<string, { median: number; unit: string; goal?: string; samples: number[] }> = {};

try {
  await bundle();
  await measure();
  print();
} finally {
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
}

async function measure(): Promise<void> {
  const guestAuthority = await createAuthority('Warren bench guest');
  const originAuthority = await createAuthority('Warren bench origin');
  const caPem = (await Authority.open(guestAuthority)).certificatePem;
  const originCertificatePem = (await Authority.open(originAuthority)).certificatePem;

  const origin = await start<OriginPorts>('origin', { authority: originAuthority });
  const config = { folder, guestAuthority, originCertificatePem, origin: origin.told };
  const door = await start<{ socket: string }>(
    'serve',
    config,
    PROFILE ? ['--cpu-prof', `--cpu-prof-dir=${process.cwd()}`] : [],
  );
  const idle = [door, ...(await more(REPEATS - 1, config))];
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  row(
    'a door process at rest',
    'MiB',
    idle.map(({ child }) => rssMib(child)),
  );
  for (const { child } of idle.slice(1)) child.kill();

  const guestFor = async (socket: string) => {
    const { child } = await start('guest', { socket, caPem, originCertificatePem, origin: origin.told });
    return async <T>(what: Load): Promise<T> => {
      child.send(what);
      const [{ answer }] = await once(child, 'message');
      return answer as T;
    };
  };
  const load = await guestFor(door.told.socket);
  const repeat = async <T>(work: () => Promise<T>): Promise<T[]> => {
    await work();
    const samples: T[] = [];
    for (let nr = 0; nr < REPEATS; nr++) samples.push(await work());
    return samples;
  };
  const cpu = () => processUse(door.child.pid!)!.cpuSeconds;

  if (wanted('requests')) {
    const perRequest: number[] = [];
    const rates = await repeat(async () => {
      const before = cpu();
      const rate = await load<number>({ type: 'requests', connections: 32, seconds: 4 });
      perRequest.push(((cpu() - before) * 1_000) / (rate * 4));
      return rate;
    });
    row('small HTTPS requests, 32 connections', '/s', rates, '≥ 1000');
    row('the door’s CPU for one of them', 'ms', perRequest.slice(1));
  }
  if (wanted('latency')) {
    latency(
      'small HTTPS request',
      await repeat(() => load<Latency>({ type: 'latency', requests: 300 })),
      '≤ 5',
    );
    latency(
      'new HTTPS connection and request',
      await repeat(() => load<Latency>({ type: 'connect', connections: 30 })),
    );
  }
  if (wanted('bulk')) {
    // By turns, so that what else this computer does falls on both.
    const bulk = await repeat(async () => {
      const [tcp, https, tcpAround, httpsAround] = [
        await load<number>({ type: 'bulk', bytes: BULK_BYTES, over: 'tcp', around: false }),
        await load<number>({ type: 'bulk', bytes: BULK_BYTES, over: 'https', around: false }),
        await load<number>({ type: 'bulk', bytes: BULK_BYTES, over: 'tcp', around: true }),
        await load<number>({ type: 'bulk', bytes: BULK_BYTES, over: 'https', around: true }),
      ];
      return { tcp, https, tcpAround, httpsAround };
    });
    const rate = (name: string, key: keyof (typeof bulk)[number]) =>
      row(
        name,
        'Mbit/s',
        bulk.map((each) => each[key]),
      );
    rate('bulk TCP', 'tcp');
    rate('bulk HTTPS, intercepted', 'https');
    rate('bulk TCP without a door', 'tcpAround');
    rate('bulk HTTPS without a door', 'httpsAround');
    row(
      'intercepted : TCP',
      '%',
      bulk.map(({ tcp, https }) => (100 * https) / tcp),
      '≥ 60',
    );
  }
  if (wanted('exact')) await exact(load, door.child);
  if (wanted('held')) await hold(config, guestFor);
}

/** Every byte is compared, both ways at once; what the door holds meanwhile is looked at four times a second. */
async function exact(load: Loader, door: ChildProcess): Promise<void> {
  const bytes = Number(values.exact) * 1024 * MIB;
  const before = rssMib(door);
  let most = before;
  const look = setInterval(() => {
    most = Math.max(most, rssMib(door));
  }, 250);
  const rate = await load<number>({ type: 'exact', bytes });
  clearInterval(look);
  row(`a flow of ${values.exact} GiB each way at once, each byte compared`, 'Mbit/s', [rate]);
  row('the door’s memory meanwhile, at most', 'MiB', [most]);
}

type Loader = <T>(what: Load) => Promise<T>;

async function hold(
  config: Parameters<typeof more>[1],
  guestFor: (socket: string) => Promise<Loader>,
): Promise<void> {
  for (const [over, how, what] of HELD) {
    const samples: number[] = [];
    // A door of its own for each: nothing that was done before is in its memory.
    for (const { child, told } of await more(REPEATS, config)) {
      const loadHere = await guestFor(told.socket);
      const served = await loadHere<number>({ type: 'hold', flows: MOST_FLOWS, over, how });
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      console.error(`${served} of ${MOST_FLOWS} have a place`);
      samples.push(rssMib(child));
      await loadHere({ type: 'release' });
      child.kill();
    }
    row(`${MOST_FLOWS} ${what}`, 'MiB', samples, '≤ 150');
  }
}

async function more(count: number, config: { folder: string }) {
  const started = [];
  for (let nr = 0; nr < count; nr++) {
    const own = join(folder, `own-${++folders}`);
    mkdirSync(own);
    started.push(await start<{ socket: string }>('serve', { ...config, folder: own }));
  }
  return started;
}

async function start<T>(program: string, config: object, execArgv: string[] = []) {
  const flags = program === 'serve' ? [...DOOR_NODE_FLAGS, ...execArgv] : [];
  const child = fork(join(folder, `${program}.mjs`), {
    execArgv: flags,
    env: { ...process.env, ...(program === 'serve' && DOOR_ENVIRONMENT) },
  });
  children.push(child);
  child.send(config);
  const [told] = await once(child, 'message');
  return { child, told: told as T };
}

/** As what is installed: one file each. */
async function bundle(): Promise<void> {
  await build({
    entryPoints: ['origin', 'serve', 'guest'].map((name) => `bench/door/${name}.ts`),
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    mainFields: ['module', 'main'],
    logLevel: 'warning',
    banner: {
      js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
    },
  });
}

function latency(name: string, samples: Latency[], goal?: string): void {
  row(
    `${name}, through the door`,
    'ms',
    samples.map(({ throughMs }) => throughMs),
  );
  row(
    `${name}, without it`,
    'ms',
    samples.map(({ aroundMs }) => aroundMs),
  );
  row(
    `${name}, added`,
    'ms',
    samples.map(({ throughMs, aroundMs }) => throughMs - aroundMs),
    goal,
  );
}

function rssMib({ pid }: ChildProcess): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1_024;
}

function row(name: string, unit: string, samples: number[], goal?: string): void {
  const sorted = [...samples].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)]!;
  rows[name] = { median, unit, ...(goal && { goal }), samples };
  console.error(`${name}: ${format(median)} ${unit}${goal ? ` (goal ${goal})` : ''}`);
}

function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}

function print(): void {
  console.log('| what | median | unit | goal |\n|---|---:|---|---|');
  for (const [name, { median, unit, goal }] of Object.entries(rows))
    console.log(`| ${name} | ${format(median)} | ${unit} | ${goal ?? ''} |`);
  mkdirSync('bench/results', { recursive: true });
  writeFileSync(
    join('bench/results', 'door.json'),
    `${JSON.stringify({ repeats: REPEATS, rows }, null, 2)}\n`,
  );
}
