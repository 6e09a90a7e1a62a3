// Files between the host and a sandbox, as tar through the agent's archive service.

import { lstat } from 'node:fs/promises';
import { basename, posix } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { packPath } from '../host/pack-path.ts';
import { Unpacker, type UnpackReport } from '../host/unpack.ts';
import { WarrenError } from '../protocol/error.ts';
import { sandboxPath } from './call.ts';
import { readText, type Transport } from './transport.ts';

/** Copies a file or folder of the guest to `target`, which must not exist. */
export async function copyOut(
  transport: Transport,
  sandbox: string,
  what: { path: string; user: string; target: string },
): Promise<UnpackReport> {
  const answer = await transport.send({ method: 'GET', path: archivePath(sandbox, what.path, what.user) });
  const unpacker = await Unpacker.open(what.target);
  try {
    const entries = extract();
    const reading = pipeline(answer, entries).catch((cause: unknown) => {
      throw new WarrenError(
        {
          code: 'files.cut-short',
          message: `cannot copy ${what.path}: the sandbox's archive is damaged or ended early`,
        },
        { cause },
      );
    });
    reading.catch(() => {});
    for await (const entry of entries) await unpacker.add(entry.header, asReadable(entry));
    await reading;
    return await unpacker.finish();
  } catch (error) {
    await unpacker.abandon();
    throw error;
  }
}

/** Copies a file or folder of the host to `path` in the guest: into it when it is a folder, else as that name. */
export async function copyIn(
  transport: Transport,
  sandbox: string,
  what: { source: string; path: string; intoFolder: boolean; user: string },
): Promise<{ entries: number; path: string }> {
  await lstat(what.source).catch((cause: unknown) => {
    throw new WarrenError(
      { code: 'files.no-source', message: `cannot copy ${what.source}: there is no such file` },
      { cause },
    );
  });
  const into = what.intoFolder || (await isFolder(transport, sandbox, what.path, what.user));
  const folder = into ? what.path : posix.dirname(what.path);
  const name = into ? basename(what.source) : posix.basename(what.path);
  const answer = await transport.send({
    method: 'PUT',
    path: archivePath(sandbox, folder, what.user),
    headers: { 'content-type': 'application/x-tar' },
    body: packPath(what.source, name),
  });
  const { entries } = JSON.parse(await readText(answer)) as { entries: number };
  return { entries, path: posix.join(folder, name) };
}

async function isFolder(transport: Transport, sandbox: string, path: string, user: string): Promise<boolean> {
  const answer = await transport
    .send({
      method: 'POST',
      path: `${sandboxPath(sandbox)}/agent/filesystem.Filesystem/Stat`,
      headers: {
        'content-type': 'application/json',
        'connect-protocol-version': '1',
        authorization: `Basic ${Buffer.from(`${user}:`).toString('base64')}`,
      },
      body: Buffer.from(JSON.stringify({ path })),
    })
    .catch((error: unknown) => {
      if (error instanceof WarrenError && error.code === 'agent.not-found') return undefined;
      throw error;
    });
  if (!answer) return false;
  const { entry } = JSON.parse(await readText(answer)) as { entry?: { type?: string } };
  return entry?.type === 'FILE_TYPE_DIRECTORY';
}

function archivePath(sandbox: string, path: string, user: string): string {
  return `${sandboxPath(sandbox)}/agent/warren/archive?${new URLSearchParams({ path, user })}`;
}

/** tar-stream's streams are streamx's: readable streams in all that is used here, but not by type. */
function asReadable(stream: unknown): Readable {
  return stream as Readable;
}
