// What each kind of registry keeps: the second sandbox has it without anybody being asked, and what does not fit its
// digest is passed on and not kept.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { cacheDoor, get, newFolder, registry, requestsOf } from './cache-door.ts';

const BODY = Buffer.from('what was published');
const SHA256 = createHash('sha256').update(BODY).digest('hex');

interface Case {
  what: string;
  file: string;
  /** That tells the file's digest, and what it says. */
  index?: [url: string, text: string];
  /** The digest is known: other content is no file of this registry's. */
  verified: boolean;
}

const CASES: Case[] = [
  {
    what: 'a tarball of npm',
    file: 'https://registry.npmjs.org/ms/-/ms-2.1.3.tgz',
    index: [
      'https://registry.npmjs.org/ms',
      JSON.stringify({
        versions: {
          '2.1.3': {
            dist: {
              tarball: 'https://registry.npmjs.org/ms/-/ms-2.1.3.tgz',
              integrity: `sha512-${createHash('sha512').update(BODY).digest('base64')}`,
            },
          },
        },
      }),
    ],
    verified: true,
  },
  {
    what: 'a wheel of PyPI',
    file: 'https://files.pythonhosted.org/packages/a-1.0-py3-none-any.whl',
    index: [
      'https://pypi.org/simple/a/',
      `<a href="https://files.pythonhosted.org/packages/a-1.0-py3-none-any.whl#sha256=${SHA256}">a</a>`,
    ],
    verified: true,
  },
  {
    what: 'a crate',
    file: 'https://static.crates.io/crates/serde/1.0.0/download',
    index: [
      'https://index.crates.io/se/rd/serde',
      `${JSON.stringify({ name: 'serde', vers: '1.0.0', cksum: SHA256 })}\n`,
    ],
    verified: true,
  },
  {
    what: 'an index of Debian by its hash',
    file: `http://deb.debian.org/debian/dists/trixie/main/binary-amd64/by-hash/SHA256/${SHA256}`,
    verified: true,
  },
  {
    what: 'a package of Debian’s pool, over https',
    file: 'https://deb.debian.org/debian/pool/main/h/hello/hello_2.10-3_amd64.deb',
    verified: false,
  },
  ...['zip', 'mod', 'info'].map((end) => ({
    what: `a module of Go: .${end}`,
    file: `https://proxy.golang.org/golang.org/x/text/@v/v0.21.0.${end}`,
    verified: false,
  })),
];

/** How often the registry was asked for the file by two sandboxes, and the second's answer. */
async function twoSandboxes({ file, index }: Case, body: Buffer) {
  const isPlain = file.startsWith('http:');
  const path = new URL(file).pathname;
  const origin = await registry(({ url }, response) => {
    const answer = url === path ? body : Buffer.from(index![1]);
    response.writeHead(200, { 'content-length': answer.length }).end(answer);
  }, !isPlain);
  const hosts = [file, ...(index ? [index[0]] : [])].map((url) => new URL(url).hostname);
  const allow = [...new Set(hosts)].map((host) => ({ host, http: isPlain, registry: 'read' }));
  const folder = newFolder();
  const open = () => cacheDoor(folder, { allow, origins: { 80: origin.port, 443: origin.port } });
  const [first, second] = [await open(), await open()];
  if (index) await get(first, index[0]);
  for (const door of [first, second]) assert.deepEqual((await get(door, file)).body, body);
  return { asked: origin.asked.filter((each) => each === `GET ${path}`).length, second };
}

describe('a download', () => {
  for (const each of CASES) {
    it(`of ${each.what} is kept for the second sandbox`, async () => {
      const { asked, second } = await twoSandboxes(each, BODY);
      assert.equal(asked, 1);
      assert.deepEqual(second.dialed, []);
      assert.deepEqual(
        requestsOf(second).map(({ cached, decision }) => [cached, decision]),
        [[true, 'allow']],
      );
    });
    if (each.verified)
      it(`of ${each.what} is not kept when it is another one than its digest says`, async () => {
        const { asked, second } = await twoSandboxes(each, Buffer.from('something else'));
        assert.equal(asked, 2);
        assert.equal(second.dialed.length, 1);
      });
  }
});
