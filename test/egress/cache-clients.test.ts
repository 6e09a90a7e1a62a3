// Real package managers in two sandboxes, and a registry on loopback behind their doors: the second asks it for nothing.

import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { type CacheDoor, cacheDoor, newFolder, registry, requestsOf, sri } from './cache-door.ts';
import { guestCa, listenOn } from './fake-guest.ts';

const run = promisify(execFile);
const closing: (() => unknown)[] = [];
const home = mkdtempSync(join(tmpdir(), 'warren-clients-'));
writeFileSync(join(home, 'ca.pem'), guestCa.certificatePem);
after(() => {
  for (const close of closing.reverse()) close();
  rmSync(home, { recursive: true, force: true });
});

/** The guest's proxy: CONNECT by name. */
async function proxyOf(door: CacheDoor): Promise<string> {
  const server = createServer();
  server.on('connect', async ({ url }, socket) => {
    const [name, port] = url!.split(':');
    const flow = await door.openName(name!, Number(port));
    socket.on('error', () => flow.destroy());
    flow.on('error', () => socket.destroy());
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    socket.pipe(flow).pipe(socket);
  });
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${await listenOn(server as unknown as Server)}`;
}

async function tarball(files: Record<string, string>): Promise<Buffer> {
  const tar = pack();
  for (const [name, text] of Object.entries(files)) tar.entry({ name, mtime: new Date(0) }, text);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return gzipSync(Buffer.concat(chunks));
}

function missing(command: string): string | false {
  return spawnSync(command, ['--version']).status === 0 ? false : `${command} is not installed here`;
}

function folderFor(nr: string): string {
  const folder = join(home, nr);
  mkdirSync(folder);
  return folder;
}

describe('in a second sandbox', () => {
  it('`npm ci` asks the registry for nothing', { skip: missing('npm') }, async () => {
    const names = ['alpha', '@scope/beta', 'gamma'];
    const tarballs = new Map<string, Buffer>();
    const packages: Record<string, unknown> = {
      '': {
        name: 'demo',
        version: '1.0.0',
        dependencies: Object.fromEntries(names.map((name) => [name, '1.0.0'])),
      },
    };
    for (const name of names) {
      const path = `/${name}/-/${name.split('/').at(-1)}-1.0.0.tgz`;
      const body = await tarball({
        'package/package.json': JSON.stringify({ name, version: '1.0.0' }),
        'package/index.js': `module.exports = '${name}'.repeat(1000)`,
      });
      tarballs.set(path, body);
      packages[`node_modules/${name}`] = {
        version: '1.0.0',
        resolved: `https://registry.npmjs.org${path}`,
        integrity: sri(body),
      };
    }
    const origin = await registry(({ url }, response) => {
      const body = tarballs.get(url!);
      if (body) response.writeHead(200, { 'content-length': body.length }).end(body);
      else response.writeHead(404).end();
    });
    const downloads = newFolder();
    const asked: number[] = [];
    for (const nr of ['first', 'second']) {
      const door = await cacheDoor(downloads, { origins: { 443: origin.port } });
      const folder = folderFor(`npm-${nr}`);
      writeFileSync(join(folder, 'package.json'), JSON.stringify(packages['']));
      writeFileSync(
        join(folder, 'package-lock.json'),
        JSON.stringify({ name: 'demo', version: '1.0.0', lockfileVersion: 3, requires: true, packages }),
      );
      const settings = {
        cache: join(folder, '.cache'),
        cafile: join(home, 'ca.pem'),
        proxy: await proxyOf(door),
      };
      await run('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], {
        cwd: folder,
        env: {
          PATH: process.env['PATH'],
          HOME: folder,
          npm_config_cache: settings.cache,
          npm_config_cafile: settings.cafile,
          npm_config_https_proxy: settings.proxy,
          // Else it asks for its own newest version, once a week.
          npm_config_update_notifier: 'false',
          npm_config_registry: 'https://registry.npmjs.org/',
        },
      });
      await door.cache.settled();
      asked.push(origin.asked.length);
      if (nr === 'second') {
        assert.deepEqual(door.dialed, []);
        assert.deepEqual(
          requestsOf(door).map(({ cached, status }) => [cached, status]),
          names.map(() => [true, 200]),
        );
      }
    }
    assert.deepEqual(asked, [3, 3], origin.asked.join('\n'));
  });

  it('`pip download` asks for the index only', { skip: missing('pip3') }, async () => {
    const wheel = zipOf({
      'demo/__init__.py': '',
      'demo-1.0.dist-info/METADATA': 'Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n',
      'demo-1.0.dist-info/WHEEL': 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
      'demo-1.0.dist-info/RECORD': '',
    });
    const digest = createHash('sha256').update(wheel).digest('hex');
    const file = 'https://files.pythonhosted.org/packages/demo-1.0-py3-none-any.whl';
    const origin = await registry(({ headers }, response) => {
      const page = `<!doctype html><a href="${file}#sha256=${digest}">demo-1.0-py3-none-any.whl</a>`;
      const [body, type] =
        headers.host === 'pypi.org' ? [Buffer.from(page), 'text/html'] : [wheel, 'application/octet-stream'];
      response.writeHead(200, { 'content-type': type, 'content-length': body.length }).end(body);
    });
    const downloads = newFolder();
    for (const nr of ['first', 'second']) {
      const door = await cacheDoor(downloads, {
        allow: ['pypi.org', 'files.pythonhosted.org'],
        origins: { 443: origin.port },
      });
      const folder = folderFor(`pip-${nr}`);
      const proxy = await proxyOf(door);
      await run(
        'pip3',
        ['download', '--no-cache-dir', '--disable-pip-version-check', '--no-deps', '--index-url'].concat([
          'https://pypi.org/simple',
          '--cert',
          join(home, 'ca.pem'),
          '--proxy',
          proxy,
          '-d',
          folder,
          'demo',
        ]),
        { env: { PATH: process.env['PATH'], HOME: folder, PIP_CONFIG_FILE: '/dev/null' } },
      );
      await door.cache.settled();
    }
    assert.deepEqual(
      origin.asked.map((each) => each.includes('.whl')),
      [false, true, false],
    );
  });
});

/** Stored, not packed. */
function zipOf(files: Record<string, string>): Buffer {
  const script = `
import sys, json, zipfile, io
b = io.BytesIO()
with zipfile.ZipFile(b, 'w') as z:
  for n, t in json.load(sys.stdin).items(): z.writestr(n, t)
sys.stdout.buffer.write(b.getvalue())`;
  return spawnSync('python3', ['-c', script], { input: JSON.stringify(files) }).stdout;
}
