// One run, one computer: medians of whole commands as a person waits for them, and ratios between them.
// `npm run bench -- 10` repeats each ten times.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processUse } from '../src/host/processes.ts';
import type { DaemonInfo, SandboxDetail, TemplateView, UpResult } from '../src/protocol/api.ts';
import { Warren } from '../test/vm/harness.ts';

const REPEATS = Number(process.argv[2] ?? 7);
const SIDE_BY_SIDE = 20;
const IDLE_SECONDS = 10;
const warren = new Warren();
const rows: Record<string, { median: number; unit: string; samples: number[] }> = {};

try {
  await measure();
} finally {
  await warren.close();
}

async function measure(): Promise<void> {
  const repository = warren.repository(
    'bench',
    Object.fromEntries(Array.from({ length: 200 }, (_, nr) => [`src/${nr}.txt`, `${nr}\n`.repeat(50)])),
  );
  await warren.ok(['up', '--detach', '--name', 'warm'], { cwd: repository });

  await timed('warren --version', () => warren.ok(['--version']));
  await timed('ls', () => warren.ok(['ls']));
  await timed('exec true', () => warren.ok(['exec', 'warm', '--', 'true']));
  await timed('run --rm --no-repo -- true', () => warren.ok(['run', '--rm', '--no-repo', '--', 'true']));
  peers();
  await fresh();
  const restores: number[] = [];
  const answers: number[] = [];
  await timed('up (200 files), whole command', async (nr) => {
    const startedMs = performance.now();
    const { timings } = await warren.json<UpResult>(['up', '--name', `up-${nr}`], { cwd: repository });
    const tookMs = performance.now() - startedMs;
    restores.push(timings['restoreMs']!);
    answers.push(timings['answeredMs']!);
    await warren.ok(['rm', `up-${nr}`]);
    return tookMs;
  });
  row('restore to the agent’s first answer', 'ms', answers);
  row('restore to awake', 'ms', restores);
  const templates = await warren.json<TemplateView[]>(['template', 'ls']);
  row(
    'cold boot of the same template',
    'ms',
    templates.filter(({ usedBy }) => usedBy.length > 0).map(({ bootMs }) => bootMs),
  );
  await timed('merge of one commit', async (nr) => {
    await warren.sh('warm', `echo ${nr} >> src/0.txt; git commit -qam ${nr}`);
    const startedMs = performance.now();
    await warren.ok(['merge', 'warm'], { cwd: repository });
    return performance.now() - startedMs;
  });

  const names = Array.from({ length: SIDE_BY_SIDE }, (_, nr) => `side-${nr}`);
  const startedMs = performance.now();
  for (const name of names) await warren.ok(['up', '--detach', '--name', name], { cwd: repository });
  row(`${SIDE_BY_SIDE} sandboxes, one after another`, 'ms', [performance.now() - startedMs]);
  const machines = await Promise.all(names.map((name) => warren.json<SandboxDetail>(['show', name])));
  row(
    'private memory of a sandbox at rest',
    'MiB',
    machines.map(({ machine }) => machine!.privateMib),
  );
  row(
    'disk of a sandbox at rest',
    'MiB',
    machines.map(({ diskUsedMib }) => diskUsedMib),
  );
  const daemon = await warren.json<DaemonInfo>(['daemon', 'status']);
  row(`daemon with ${SIDE_BY_SIDE + 1} sandboxes`, 'MiB', [daemon.rssMib]);
  const cpu = () => machines.map(({ machine }) => processUse(machine!.pid)!.cpuSeconds);
  await new Promise((resolve) => setTimeout(resolve, 5000));
  const before = cpu();
  await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000));
  row(
    'CPU of a sandbox at rest',
    '% of a core',
    cpu().map((seconds, index) => ((seconds - before[index]!) / IDLE_SECONDS) * 100),
  );

  print();
}

/** A sandbox without a repository: its memory, and the whole way to the end of its first program. */
async function fresh(): Promise<void> {
  const memory: number[] = [];
  const firsts: number[] = [];
  for (let nr = 0; nr < REPEATS; nr++) {
    const [started, first] = [performance.now(), ['run', '--no-repo', '--name', 'fresh', '--', 'true']];
    await warren.ok(first);
    firsts.push(performance.now() - started - rows['warren --version']!.median);
    memory.push((await warren.json<SandboxDetail>(['show', 'fresh'])).machine!.privateMib);
    await warren.ok(['rm', '--force', 'fresh']);
  }
  row('restore to the end of the first program (without the CLI’s start)', 'ms', firsts);
  row('private memory of a fresh clone', 'MiB', memory);
}

/** What else starts `true` in some isolation here, in the same run. What is missing or refuses is told. */
function peers(): void {
  const image = 'localhost/warren-bench:1';
  const commands: [name: string, file: string, args: string[]][] = [
    [
      'bwrap --unshare-all … true',
      'bwrap',
      ['--unshare-all', '--ro-bind', '/', '/', '--dev', '/dev', 'true'],
    ],
    ['gVisor: runsc --network=none do true', 'runsc', ['--network=none', 'do', 'true']],
    ['podman run --rm --network=none', 'podman', ['run', '--rm', '--network=none', image, '/true']],
  ];
  for (const [name, file, args] of commands) {
    if (file === 'podman') importTrue(image);
    const samples: number[] = [];
    for (let nr = 0; nr < REPEATS; nr++) {
      const startedMs = performance.now();
      const ended = spawnSync(file, args, { encoding: 'utf8', timeout: 30_000 });
      if (ended.status !== 0) {
        const why = ended.error
          ? `not installed: apt-get install ${file}`
          : (ended.stderr.trim().split('\n').at(-1) ?? '');
        console.error(`${name}: does not run here (${why})`);
        break;
      }
      samples.push(performance.now() - startedMs);
    }
    if (samples.length > 0) row(name, 'ms', samples);
  }
}

/** An image that holds one static program which does nothing. */
function importTrue(image: string): void {
  const folder = join(warren.home, 'true');
  mkdirSync(folder);
  writeFileSync(join(folder, 'main.go'), 'package main\nfunc main() {}\n');
  spawnSync('go', ['build', '-o', 'true', 'main.go'], {
    cwd: folder,
    env: { ...process.env, CGO_ENABLED: '0' },
  });
  const tar = spawnSync('tar', ['-C', folder, '-c', 'true'], { maxBuffer: 1024 ** 3 });
  spawnSync('podman', ['import', '-', image], { input: tar.stdout });
}

/** `work` may answer the time itself. */
async function timed(name: string, work: (nr: number) => Promise<unknown>): Promise<void> {
  const samples: number[] = [];
  for (let nr = 0; nr < REPEATS; nr++) {
    const startedMs = performance.now();
    const own = await work(nr);
    samples.push(typeof own === 'number' ? own : performance.now() - startedMs);
  }
  row(name, 'ms', samples);
}

function row(name: string, unit: string, samples: number[]): void {
  const sorted = [...samples].sort((a, b) => a - b);
  rows[name] = { median: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN, unit, samples };
  console.error(`${name}: ${rows[name].median.toFixed(1)} ${unit}`);
}

function print(): void {
  const ratio = rows['cold boot of the same template']!.median / rows['restore to awake']!.median;
  console.log('| what | median | unit |\n|---|---:|---|');
  for (const [name, { median, unit }] of Object.entries(rows))
    console.log(`| ${name} | ${median.toFixed(1)} | ${unit} |`);
  console.log(`| cold boot : restore | ${ratio.toFixed(1)} | ratio |`);
  mkdirSync('bench/results', { recursive: true });
  const cpuModel = /model name\s*: (.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown';
  writeFileSync(
    join('bench/results', 'latest.json'),
    `${JSON.stringify({ cpuModel, repeats: REPEATS, rows }, null, 2)}\n`,
  );
}
