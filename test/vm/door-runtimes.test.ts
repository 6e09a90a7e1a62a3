// Clients that are not in the default environment, brought along from this computer: wget, pip and requests, gRPC, Java.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { type BothWays, bothWaysIn, words } from './door-both-ways.ts';
import { allow, audited, DENIED, grpcOrigin, openDoorWarren, origin, web } from './door-origins.ts';
import { GRPC_CLIENT, JAVA_GET, PYTHON_REQUESTS } from './door-programs.ts';

const warren = openDoorWarren();
const NAME = 'runtimes';
const WORDS = words(NAME);
const files = join(warren.home, 'files');
let bothWays: BothWays;
let pip = 0;
let grpc = 0;

before(async () => {
  mkdirSync(files);
  const wheel = makeWheel();
  const [secure, plain, index] = await Promise.all([
    origin(web().listener),
    origin(web().listener, { secure: false }),
    origin(({ url }, response) => {
      if (url === '/simple/small/')
        response
          .setHeader('content-type', 'text/html')
          .end(
            `<a href="/files/${WHEEL}#sha256=${createHash('sha256').update(wheel).digest('hex')}">${WHEEL}</a>`,
          );
      else response.writeHead(url === `/files/${WHEEL}` ? 200 : 404).end(wheel);
    }),
  ]);
  pip = index.port;
  grpc = await grpcOrigin();
  const here = { allowPrivate: true };
  allow(
    warren,
    { host: 'web.warren.test', ports: [secure.port], ...here },
    { host: 'web.warren.test', ports: [plain.port], protocol: 'http', ...here },
    { host: 'pip.warren.test', ports: [pip], registry: 'read', ...here },
    { host: 'h2.warren.test', ports: [grpc], ...here },
  );
  await warren.ok(['up', '--detach'], {
    cwd: warren.repository(NAME, { 'requests.py.txt': PYTHON_REQUESTS, 'grpc.js': GRPC_CLIENT }),
  });
  const { port: https, asked } = secure;
  bothWays = bothWaysIn(warren, { name: NAME, https, http: plain.port, asked: [asked, plain.asked] });
});

const guest = async (line: string) => await warren.run(['exec', NAME, '--', 'sh', '-c', line]);

/** Null when it went well, else why this test cannot be. */
function got(what: string, command: string, args: string[]): string | null {
  try {
    execFileSync(command, args, { cwd: files, stdio: 'ignore', timeout: 120_000 });
    return null;
  } catch {
    return `${what} is not to be had on this computer`;
  }
}

const WHEEL = 'small-1.0-py3-none-any.whl';

function makeWheel(): Buffer {
  const script = `
import sys, zipfile, io
b = io.BytesIO()
with zipfile.ZipFile(b, 'w') as z:
  z.writestr('small.py', 'print("small")')
  z.writestr('small-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: small\\nVersion: 1.0\\n')
  z.writestr('small-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
  z.writestr('small-1.0.dist-info/RECORD', '')
sys.stdout.buffer.write(b.getvalue())`;
  return execFileSync('python3', ['-c', script]);
}

describe('a client that is brought along', { timeout: 900_000 }, () => {
  it('wget', async (t) => {
    if (!existsSync('/usr/bin/wget')) return t.skip('wget is not installed on this computer');
    await warren.ok(['cp', '/usr/bin/wget', `${NAME}:/tmp/wget`]);
    const wget = (url: string) => `/tmp/wget -nv -O - --tries 1 --content-on-error ${url}`;
    await bothWays(wget, true, WORDS);
    await bothWays(wget, false, /policy allow runtimes denied\.warren\.test:\d+ --http\n/);
  });

  it('pip installs from an index that may be read; its requests and urllib3 get', async (t) => {
    const missing = got('pip', 'python3', ['-m', 'pip', 'download', '--no-deps', '-q', '-d', '.', 'pip']);
    if (missing) return t.skip(missing);
    const file = readdirSync(files).find((name) => /^pip-.*\.whl$/.test(name))!;
    await warren.ok(['cp', join(files, file), `${NAME}:/tmp/${file}`]);
    const install = (host: string) =>
      guest(
        `python3 /tmp/${file}/pip install --disable-pip-version-check --no-cache-dir --retries 0 --target /tmp/site --index-url https://${host}:${pip}/simple small && PYTHONPATH=/tmp/site python3 -m small`,
      );
    const good = await install('pip.warren.test');
    assert.match(good.stdout, /small\n$/, good.stderr);
    const bad = await install(DENIED);
    assert.notEqual(bad.code, 0);
    const denied = await audited(warren, NAME, ({ host, port }) => host === DENIED && port === pip);
    assert.equal(denied.decision, 'deny');
    const requests = (url: string) => `PYTHONPATH=/tmp/${file} python3 requests.py.txt ${url}`;
    await bothWays(requests, true, WORDS);
  });

  it('gRPC', async (t) => {
    const missing = got('@grpc/grpc-js', 'npm', [
      ...['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', '.', '@grpc/grpc-js@1'],
    ]);
    if (missing) return t.skip(missing);
    await warren.ok(['cp', join(files, 'node_modules'), `${NAME}:/tmp/node_modules`]);
    const call = (host: string) => guest(`NODE_PATH=/tmp/node_modules node grpc.js ${host}:${grpc}`);
    const good = await call('h2.warren.test');
    assert.equal(good.stdout, 'request message\n', good.stderr);
    const bad = await call(DENIED);
    assert.match(bad.stdout, /^7 Warren: denied\S+ no rule allows it\nto allow it: warren policy allow/);
    await audited(
      warren,
      NAME,
      ({ host, port, decision }) => host === DENIED && port === grpc && decision === 'deny',
    );
  });

  it('Java, with either format of its store', async (t) => {
    writeFileSync(join(files, 'Get.java'), JAVA_GET);
    const missing =
      got('a compiler of Java', 'javac', ['--release', '17', 'Get.java']) ??
      got('a runtime of Java', 'jlink', [
        ...[
          '--add-modules',
          'java.base,jdk.crypto.ec',
          '--strip-debug',
          '--no-header-files',
          '--no-man-pages',
        ],
        ...['--output', 'java'],
      ]);
    if (missing) return t.skip(missing);
    const stores = 'agent/internal/trust/testdata';
    copyFileSync(join(stores, 'store.jks'), join(files, 'java/lib/security/cacerts'));
    mkdirSync(join(files, 'java/other/lib/security'), { recursive: true });
    copyFileSync(join(stores, 'store.p12'), join(files, 'java/other/lib/security/cacerts'));
    copyFileSync(join(files, 'Get.class'), join(files, 'java/Get.class'));
    await warren.ok(['cp', join(files, 'java'), `${NAME}:/tmp/java`]);
    const moved = await guest('sudo mv /tmp/java/other /opt/other && sudo mv /tmp/java /opt/java');
    assert.equal(moved.code, 0, moved.stderr);
    // A machine that boots is told whom to trust.
    await warren.ok(['stop', NAME]);
    await warren.ok(['start', NAME]);
    for (const more of ['', '-Djavax.net.ssl.trustStore=/opt/other/lib/security/cacerts'])
      await bothWays((url) => `/opt/java/bin/java ${more} -cp /opt/java Get ${url}`, true, WORDS);
  });
});
