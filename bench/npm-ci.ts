// `npm ci` of one lockfile in sandboxes, one after the other: without what doors keep of downloads, then with it, the
// second time from it alone; and once more in that sandbox from what npm itself has kept.
// The project is the one in the folder that the first argument names (default: a small server with express), against
// the registry that this computer's npm is configured for. `npm run bench -- npm-ci FOLDER`.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Warren } from '../test/vm/harness.ts';

interface Told {
  kind: string;
  begun?: boolean;
  path?: string;
  cached?: boolean;
  status?: number | null;
}

const EXPRESS = {
  name: 'demo',
  version: '1.0.0',
  dependencies: { express: '4.21.2' },
  devDependencies: { eslint: '9.17.0', mocha: '11.0.1', typescript: '5.7.2' },
};
const NPM = 'npm ci --no-audit --no-fund --no-update-notifier --ignore-scripts';
const source = process.argv[2];
const warren = new Warren();
const folder = mkdtempSync(join(tmpdir(), 'warren-npm-'));

try {
  const registry = npm('config', 'get', 'registry').trim();
  if (source)
    for (const name of ['package.json', 'package-lock.json']) cpSync(join(source, name), join(folder, name));
  else {
    writeFileSync(join(folder, 'package.json'), JSON.stringify(EXPRESS));
    npm(
      'install',
      '--package-lock-only',
      '--no-audit',
      '--no-fund',
      '--omit-lockfile-registry-resolved=false',
    );
  }
  const lock = readFileSync(join(folder, 'package-lock.json'), 'utf8');
  const { host, hostname, protocol, port } = new URL(registry);
  mkdirSync(join(warren.home, '.config/warren'), { recursive: true });
  const rule = {
    host: hostname,
    registry: 'read',
    allowPrivate: true,
    ...(port && { ports: [Number(port)] }),
    ...(protocol === 'http:' && { protocol: 'http' }),
  };
  const settle = (keep: boolean) =>
    writeFileSync(
      join(warren.home, '.config/warren/config.json'),
      JSON.stringify({ egress: { allow: [rule] }, downloads: { keep, registries: { npm: [registry] } } }),
    );
  const repository = warren.repository('demo', {
    'package.json': readFileSync(join(folder, 'package.json'), 'utf8'),
    'package-lock.json': lock,
    '.npmrc': `registry=${registry}\n`,
  });
  const tarballs = new Set(lock.match(/"resolved": "[^"]+"/g)).size;
  const rows: string[][] = [];
  // What an earlier run left does not count: the first sandbox's door keeps nothing and finds nothing.
  for (const name of ['first', 'filling', 'second']) {
    settle(name !== 'first');
    await warren.ok(['up', '--detach', '--name', name], { cwd: repository });
    const startedMs = performance.now();
    await warren.sh(name, NPM);
    const seconds = (performance.now() - startedMs) / 1_000;
    const ended = (await warren.ok(['audit', name, '--json'])).trim().split('\n').map(parse);
    const answered = ended.filter(
      ({ kind, begun, status }) => kind === 'request' && !begun && status === 200,
    );
    const upstream = answered.filter(({ cached }) => !cached).length;
    rows.push([name, String(tarballs), seconds.toFixed(1), String(answered.length), String(upstream)]);
    if (name === 'second') rows.push(['npm’s own cache', String(tarballs), await offline(name), '0', '0']);
    await warren.ok(['rm', '--force', name]);
  }
  console.log(
    `| \`npm ci\` (${host === 'registry.npmjs.org' ? host : 'a registry'}) | packages | s | requests | upstream |\n|---|---:|---:|---:|---:|`,
  );
  for (const row of rows) console.log(`| ${row.join(' | ')} |`);
  const against = (row: number) => (Number(rows[row]![2]) / Number(rows[0]![2])).toFixed(2);
  console.log(`second : first = ${against(2)} (goal ≤ 0.8); without a network ${against(3)}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
  await warren.close();
}

/** Seconds without a network: what no door could be faster than. */
async function offline(name: string): Promise<string> {
  await warren.sh(name, 'rm -rf node_modules');
  const startedMs = performance.now();
  await warren.sh(name, `${NPM} --offline`);
  return ((performance.now() - startedMs) / 1_000).toFixed(1);
}

function parse(line: string): Told {
  return JSON.parse(line) as Told;
}

function npm(...args: string[]): string {
  return execFileSync('npm', args, {
    cwd: folder,
    env: { ...process.env, HOME: homedir() },
    encoding: 'utf8',
  });
}
