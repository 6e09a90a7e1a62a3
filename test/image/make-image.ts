// Images made by a test: tars of the entries that it names, OCI layouts of them on disk, and pushes to a registry.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import tar from 'tar-stream';

export interface Entry {
  name: string;
  type?: tar.Header['type'];
  mode?: number;
  uid?: number;
  gid?: number;
  content?: string | Buffer;
  linkname?: string;
  pax?: Record<string, string>;
  mtime?: Date;
}

export async function makeTar(entries: Entry[]): Promise<Buffer> {
  const pack = tar.pack();
  const whole = buffer(pack);
  for (const { name, type, mode, uid, gid, content = '', linkname, pax, mtime } of entries) {
    const folder = name.endsWith('/');
    pack.entry(
      {
        name,
        type: type ?? (folder ? 'directory' : 'file'),
        mode: mode ?? (folder ? 0o755 : 0o644),
        uid: uid ?? 0,
        gid: gid ?? 0,
        mtime: mtime ?? new Date(1_700_000_000_000),
        ...(linkname !== undefined && { linkname }),
        ...(pax && { pax }),
      },
      content,
    );
  }
  pack.finalize();
  return await whole;
}

/** A userland of one program. */
export function busyboxEntries(file: string): Entry[] {
  const applets = [
    'sh',
    'cat',
    'ls',
    'id',
    'stat',
    'env',
    'pwd',
    'readlink',
    'touch',
    'mkdir',
    'wc',
    'sha256sum',
    'uname',
    'test',
    'rm',
    'echo',
  ];
  return [
    { name: 'bin/' },
    { name: 'bin/busybox', mode: 0o755, content: readFileSync(file) },
    ...applets.map((applet): Entry => ({ name: `bin/${applet}`, type: 'symlink', linkname: 'busybox' })),
    { name: 'etc/' },
    { name: 'etc/passwd', content: 'root:x:0:0:root:/root:/bin/sh\nann:x:1234:1235::/home/ann:/bin/sh\n' },
    { name: 'etc/group', content: 'root:x:0:\nann:x:1235:\nteam:x:2000:ann\n' },
    { name: 'home/ann/', uid: 1234, gid: 1235, mode: 0o750 },
    { name: 'root/', mode: 0o700 },
  ];
}

export type Compression = 'none' | 'gzip' | 'zstd';

export interface MadeImage {
  manifest: Buffer;
  digest: string;
  blobs: Map<string, Buffer>;
}

export function makeImage(
  layers: Buffer[],
  config: Record<string, unknown> = {},
  {
    compression = 'gzip',
    architecture = process.arch === 'x64' ? 'amd64' : process.arch,
  }: { compression?: Compression; architecture?: string } = {},
): MadeImage {
  const blobs = new Map<string, Buffer>();
  const add = (bytes: Buffer, mediaType: string) => {
    const digest = digestOf(bytes);
    blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const suffix = { none: '', gzip: '+gzip', zstd: '+zstd' }[compression];
  const press = { none: (bytes: Buffer) => bytes, gzip: gzipSync, zstd: zstdCompressSync }[compression];
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: add(
        Buffer.from(
          JSON.stringify({
            os: 'linux',
            architecture,
            config,
            rootfs: { type: 'layers', diff_ids: layers.map(digestOf) },
          }),
        ),
        'application/vnd.oci.image.config.v1+json',
      ),
      layers: layers.map((layer) => add(press(layer), `application/vnd.oci.image.layer.v1.tar${suffix}`)),
    }),
  );
  return { manifest, digest: digestOf(manifest), blobs };
}

export function indexOf(...images: { image: MadeImage; platform?: Record<string, string> }[]): Buffer {
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: images.map(({ image, platform }) => ({
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: image.digest,
        size: image.manifest.length,
        ...(platform && { platform }),
      })),
    }),
  );
}

/** The files of an OCI layout, by name. */
export function layoutOf(image: MadeImage): Map<string, Buffer> {
  const files = new Map([
    ['oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')],
    ['index.json', indexOf({ image })],
  ]);
  for (const [digest, bytes] of [...image.blobs, [image.digest, image.manifest] as const])
    files.set(`blobs/sha256/${digest.replace('sha256:', '')}`, bytes);
  return files;
}

export function writeLayout(folder: string, image: MadeImage): string {
  for (const [name, bytes] of layoutOf(image)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
  return folder;
}

/** Pushes by Distribution API v2. */
export async function push(
  base: string,
  repository: string,
  tag: string,
  image: MadeImage,
  authorization?: string,
): Promise<void> {
  const headers: Record<string, string> = authorization ? { authorization } : {};
  for (const [digest, bytes] of image.blobs) {
    const begun = await fetch(`${base}/v2/${repository}/blobs/uploads/`, { method: 'POST', headers });
    const at = new URL(begun.headers.get('location')!, base);
    at.searchParams.set('digest', digest);
    const put = await fetch(at, {
      method: 'PUT',
      headers: { ...headers, 'content-type': 'application/octet-stream' },
      body: bytes,
    });
    if (put.status !== 201) throw new Error(`the blob was not taken: ${put.status} ${await put.text()}`);
  }
  await pushManifest(
    base,
    repository,
    tag,
    image.manifest,
    'application/vnd.oci.image.manifest.v1+json',
    authorization,
  );
}

export async function pushManifest(
  base: string,
  repository: string,
  tag: string,
  bytes: Buffer,
  type: string,
  authorization?: string,
): Promise<void> {
  const put = await fetch(`${base}/v2/${repository}/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'content-type': type, ...(authorization && { authorization }) },
    body: bytes,
  });
  if (put.status !== 201) throw new Error(`the manifest was not taken: ${put.status} ${await put.text()}`);
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
