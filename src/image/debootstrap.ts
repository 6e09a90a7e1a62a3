// Runs mmdebstrap, which fetches Debian packages and verifies them by Debian's own keys. Nothing is installed on
// the host. It finds Debian's mirror by itself.

import { existsSync } from 'node:fs';
import { run } from '../host/run.ts';
import { WarrenError } from '../protocol/error.ts';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const TIMEOUT_MS = 30 * 60_000;

export interface DebootstrapOptions {
  onLine?: (line: string) => void;
  signal?: AbortSignal;
}

/** Throws `image.build-failed` with the last lines, `image.no-mmdebstrap`, or `usage.cancelled`. */
export async function mmdebstrap(
  args: readonly string[],
  { onLine, signal }: DebootstrapOptions,
): Promise<void> {
  const keyring = existsSync(KEYRING) ? [`--keyring=${KEYRING}`] : [];
  let kept = '';
  try {
    await run('mmdebstrap', [...keyring, ...args], {
      timeoutMs: TIMEOUT_MS,
      env: {
        PATH: `${process.env['PATH']}:/usr/sbin:/sbin`,
        HOME: process.env['HOME'],
        TMPDIR: process.env['TMPDIR'],
        LC_ALL: 'C.UTF-8',
        http_proxy: process.env['http_proxy'],
        https_proxy: process.env['https_proxy'],
      },
      ...(signal && { signal }),
      onStderr: (chunk) => {
        const lines = (kept + chunk).split(/[\r\n]+/);
        kept = lines.pop() ?? '';
        for (const line of lines) onLine?.(line);
      },
    });
  } catch (cause) {
    const error = WarrenError.from(cause);
    if (error.code === 'usage.cancelled') throw error;
    if (error.code === 'host.command-missing') {
      throw new WarrenError(
        {
          code: 'image.no-mmdebstrap',
          message: 'cannot build images: mmdebstrap is not installed',
          remedy: 'sudo apt-get install mmdebstrap',
        },
        { cause },
      );
    }
    const noSpace = /No space left on device/.test(String(error.details?.['stderr'] ?? ''));
    throw new WarrenError(
      {
        code: noSpace ? 'image.disk-full' : 'image.build-failed',
        message: noSpace
          ? 'cannot build the image: the disk is full'
          : `cannot build the image: ${error.message}`,
        remedy: noSpace
          ? 'free some room (warren prune), then try again'
          : 'check that Debian packages can be fetched from here, then try again',
      },
      { cause },
    );
  }
}
