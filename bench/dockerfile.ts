// What building costs beside the commands themselves: a build of which everything is known, a step, a disk of layers, a
// start from the image that came of it, and what a sandbox takes. `npm run bench -- dockerfile 5` repeats each five times.

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeTree } from '../src/image/layered-image.ts';
import { staticBusybox } from '../test/image/debian-program.ts';
import { Warren } from '../test/vm/harness.ts';

const REPEATS = Number(process.argv[2]) || 5;
const CONTEXT_FILES = 6000;
const CONTEXT_FILE_BYTES = 50 * 1024;
const STEPS = 10;
const WRITTEN_MIB = 10;
const warren = new Warren();
const rows: Record<string, { median: number; unit: string; samples: number[] }> = {};

try {
  await measure();
} finally {
  await warren.close();
}
mkdirSync('bench/results', { recursive: true });
writeFileSync('bench/results/dockerfile.json', `${JSON.stringify(rows, null, 2)}\n`);

async function measure(): Promise<void> {
  const box = staticBusybox();
  if ('missing' in box) throw new Error(box.missing);
  const context = join(warren.home, 'context');
  for (let nr = 0; nr < CONTEXT_FILES; nr++) {
    const folder = join(context, 'data', String(nr % 100));
    if (nr < 100) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${nr}`), Buffer.alloc(CONTEXT_FILE_BYTES, String(nr)));
  }
  copyFileSync(box.program, join(context, 'busybox'));
  const base = 'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox","--install","-s","/bin"]\n';
  writeFileSync(join(context, 'Dockerfile'), `${base}COPY data /data\n`);
  // What was just written is not believed to stay as it is.
  await new Promise((resolve) => setTimeout(resolve, 2500));
  const build = (file: string) => warren.ok(['template', 'build', '--env', `./${file}`], { cwd: context });
  const startedMs = performance.now();
  await build('Dockerfile');
  row('300 MB context: first build and template, whole command', 'ms', [performance.now() - startedMs]);
  const { rssMib } = await warren.json<{ rssMib: number }>(['daemon', 'status']);
  row('300 MB context: the daemon right after its first build', 'MiB', [rssMib]);
  await build('Dockerfile');
  await timed('300 MB context: nothing has changed, whole command', () => build('Dockerfile'));

  await disks();

  const steps = Array.from({ length: STEPS }, (_, nr) => `RUN echo ${nr} > /x\n`).join('');
  const text = `${base}${steps}`;
  const costs: number[] = [];
  for (let nr = 0; nr < REPEATS; nr++) {
    writeFileSync(join(context, `s${nr}.Dockerfile`), text.replace('echo 0', `echo first-${nr}`));
    await build(`s${nr}.Dockerfile`);
    costs.push(...stepTimes());
  }
  row('a RUN that writes one line, all of the step', 'ms', costs);

  for (const [what, flags] of [
    ['default environment', []],
    ['a Dockerfile’s', ['--env', './Dockerfile']],
  ] as const) {
    await timed(`run --rm --no-repo -- true, ${what}`, async () => {
      await warren.ok(['run', '--rm', '--no-repo', ...flags, '--', 'true'], { cwd: context });
    });
  }
  await sandboxes(context);
}

/** Of the largest layer, which is the context's. */
async function disks(): Promise<void> {
  const folder = join(warren.env['WARREN_STORE']!, 'layers');
  const layers = readdirSync(folder)
    .map((name) => ({ file: join(folder, name), diffId: name, bytes: statSync(join(folder, name)).size }))
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, 1);
  const to = join(warren.home, 'disk');
  const samples: number[] = [];
  for (let nr = 0; nr < REPEATS; nr++) {
    const startedMs = performance.now();
    await writeTree(to, layers);
    samples.push(performance.now() - startedMs);
    rmSync(to);
  }
  row(`${Math.round(layers[0]!.bytes / 1e6)} MB of layers to a bootable disk`, 'ms', samples);
}

/** What they take of this computer beyond what was written in them. */
async function sandboxes(context: string): Promise<void> {
  const samples: number[] = [];
  for (let nr = 0; nr < REPEATS; nr++) {
    const before = takenMib();
    await warren.ok(
      [
        ...['run', '--no-repo', '--name', `s${nr}`, '--env', './Dockerfile', '--'],
        ...[
          'sh',
          '-c',
          `/bin/busybox dd if=/dev/urandom of=/written bs=1M count=${WRITTEN_MIB}; /bin/busybox sync`,
        ],
      ],
      { cwd: context },
    );
    samples.push(takenMib() - before - WRITTEN_MIB);
  }
  row(`disk of a sandbox beyond the ${WRITTEN_MIB} MiB that it wrote`, 'MiB', samples);
}

function takenMib(): number {
  const du = (path: string) => Number(execFileSync('du', ['-sk', path], { encoding: 'utf8' }).split('\t')[0]);
  return (du(warren.data) + du(join(warren.env['WARREN_STORE']!, 'images'))) / 1024;
}

/** Of the steps of the last build, as the store has them. */
function stepTimes(): number[] {
  const folder = join(warren.env['WARREN_STORE']!, 'steps');
  const names = readdirSync(folder)
    .map((name) => ({ name, at: statSync(join(folder, name)).mtimeMs }))
    .sort((a, b) => b.at - a.at)
    .slice(0, STEPS);
  return names.map(
    ({ name }) => (JSON.parse(readFileSync(join(folder, name), 'utf8')) as { durationMs: number }).durationMs,
  );
}

async function timed(what: string, work: () => Promise<unknown>): Promise<void> {
  const samples: number[] = [];
  for (let nr = 0; nr < REPEATS; nr++) {
    const startedMs = performance.now();
    await work();
    samples.push(performance.now() - startedMs);
  }
  row(what, 'ms', samples);
}

function row(what: string, unit: string, samples: number[]): void {
  const sorted = [...samples].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)]!;
  rows[what] = { median, unit, samples };
  console.log(`| ${what} | ${median.toFixed(0)} | ${unit} |`);
}
