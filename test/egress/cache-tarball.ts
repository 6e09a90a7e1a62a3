// A tarball of a registry that two sandboxes ask for, one after the other.

import { randomBytes } from 'node:crypto';
import { globSync } from 'node:fs';
import type { RequestListener, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { type CacheDoor, cacheDoor, get, newFolder, type Registry, registry } from './cache-door.ts';

export const BODY = randomBytes(200_000);
export const HOST = 'https://registry.npmjs.org';
export const PATH = '/left-pad/-/left-pad-1.3.0.tgz';
export const TARBALL = HOST + PATH;
export const whole = (response: ServerResponse, body: Buffer, headers: Record<string, string> = {}) =>
  response.writeHead(200, { 'content-length': String(body.length), ...headers }).end(body);
export const kept = (folder: string) => globSync(join(folder, '*/*'));

export async function two(onRequest: RequestListener, options: { secure?: boolean; allow?: unknown[] } = {}) {
  const origin = await registry(onRequest, options.secure ?? true);
  const folder = newFolder();
  const door = () =>
    cacheDoor(folder, {
      origins: { 443: origin.port, 80: origin.port },
      ...(options.allow && { allow: options.allow }),
    });
  return { origin, folder, first: await door(), second: await door(), door };
}

/** Asked by the second after the first: how often the registry was asked, and what the second got. */
export async function twice(
  { origin, first, second }: { origin: Registry; first: CacheDoor; second: CacheDoor },
  headers: [Record<string, string>, Record<string, string>] = [{}, {}],
  url = TARBALL,
) {
  await get(first, url, headers[0]);
  const got = await get(second, url, headers[1]);
  return { asked: origin.asked.length, got };
}
