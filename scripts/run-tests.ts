// Runs every check of the project and ends with one line: `N passed, N failed, N skipped`. A check that is not a
// test (types, formatting) counts as one.

import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { tidyTestStore } from '../test/vm/test-store.ts';

const QUIET_MS = 10 * 60_000;
const totals = { passed: 0, failed: 0, skipped: 0 };
const chosen = process.argv.slice(2);

if (chosen.length === 0) {
  // Beside what needs no store: half a second, or as long as it takes to remove what a week has left.
  const tidied = tidyTestStore((file, args, env) => command(file, args, '.', { env }));
  await check('types', 'node_modules/.bin/tsc', ['-p', '.']);
  await check('lint and format', 'node_modules/.bin/biome', ['check', '.']);
  await check('shell', 'shellcheck', [
    '-x',
    'bin/warren',
    '.ci/run',
    ...globSync('scripts/*').filter((file) => !/\.ts$|node$/.test(file)),
  ]);
  await check('go vet', 'go', ['vet', './...'], 'agent');
  await checkGofmt();
  await goTests();
  console.log(`the store of the tests: ${await tidied}`);
}
await nodeTests(chosen.length > 0 ? chosen : globSync('test/**/*.test.ts').sort());
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(totals.failed > 0 || totals.passed === 0 ? 1 : 0);

async function check(name: string, file: string, args: string[], cwd = '.'): Promise<void> {
  const { code, output } = await command(file, args, cwd);
  report(name, code === 0, output);
}

async function checkGofmt(): Promise<void> {
  const { code, output } = await command('gofmt', ['-l', '.'], 'agent');
  report('gofmt', code === 0 && output === '', output);
}

function report(name: string, passed: boolean, output: string): void {
  totals[passed ? 'passed' : 'failed']++;
  console.log(`${passed ? '✔' : '✖'} ${name}`);
  if (!passed) console.log(output.slice(-8000));
}

/** `go test -json` tells each test's end in a line: {"Action":"pass","Package":…,"Test":…}. */
async function goTests(): Promise<void> {
  const outputs = new Map<string, string>();
  const onLine = (line: string) => {
    if (!line.startsWith('{')) return;
    const event = JSON.parse(line) as { Action: string; Package: string; Test?: string; Output?: string };
    const name = `${event.Package} ${event.Test ?? ''}`;
    if (event.Action === 'output') outputs.set(name, (outputs.get(name) ?? '') + event.Output);
    if (event.Action === 'fail') {
      if (event.Test) totals.failed++;
      console.log(`✖ ${name}\n${outputs.get(name) ?? ''}`);
    } else if (event.Test && event.Action === 'pass') totals.passed++;
    else if (event.Test && event.Action === 'skip') {
      totals.skipped++;
      console.log(`﹣ ${name}\n${outputs.get(name) ?? ''}`);
    }
  };
  const { code } = await command('go', ['test', '-json', './...'], 'agent', { onLine });
  report('go test', code === 0, 'see above');
}

async function nodeTests(files: string[]): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const quiet = new AbortController();
  const stream = run({ files, concurrency: 2, timeout: 20 * 60_000, signal: quiet.signal });
  // A file whose process does not end, its tests done, would be waited for forever.
  const watch = setTimeout(() => {
    console.log(`✖ no test began or ended for ${QUIET_MS / 60_000} min`);
    totals.failed++;
    quiet.abort();
  }, QUIET_MS);
  stream.on('data', () => watch.refresh());
  stream.on('test:pass', ({ details, skip }) => {
    if (details.type === 'suite') return;
    totals[skip === undefined ? 'passed' : 'skipped']++;
  });
  stream.on('test:fail', ({ details }) => {
    if (details.type !== 'suite') totals.failed++;
  });
  stream.once('end', resolve);
  stream.compose(spec()).pipe(process.stdout, { end: false });
  await promise;
  clearTimeout(watch);
}

async function command(
  file: string,
  args: string[],
  cwd: string,
  { onLine, env = process.env }: { onLine?: (line: string) => void; env?: NodeJS.ProcessEnv } = {},
): Promise<{ code: number; output: string }> {
  const child = spawn(file, args, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...env, GOTOOLCHAIN: 'local', GOFLAGS: '-buildvcs=false' },
  });
  let output = '';
  const keep = (line: string) => {
    onLine?.(line);
    if (!onLine) output += `${line}\n`;
  };
  createInterface({ input: child.stdout }).on('line', keep);
  createInterface({ input: child.stderr }).on('line', keep);
  const code = await new Promise<number>((resolve) => {
    child.once('error', (error) => {
      output += `${error.message}\n`;
      resolve(127);
    });
    child.once('close', (status) => resolve(status ?? 128));
  });
  return { code, output };
}
