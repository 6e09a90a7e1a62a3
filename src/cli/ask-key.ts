// Asks for one key on a terminal.

import { WarrenError } from '../protocol/error.ts';

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';

/**
 * One of `keys`; anything else is not an answer, nor is what comes within `readMs`. Null once `signal` is aborted.
 * Rejects with `usage.cancelled` for Ctrl-C.
 */
export async function askKey(
  question: string,
  keys: string,
  signal?: AbortSignal,
  readMs = 0,
): Promise<string | null> {
  const fromMs = performance.now() + readMs;
  process.stderr.write(question);
  process.stdin.setRawMode(true);
  process.stdin.resume();
  try {
    return await new Promise<string | null>((resolve, reject) => {
      const onData = (bytes: Buffer) => {
        const key = bytes.toString('latin1')[0]!.toLowerCase();
        if (key === CTRL_C || key === CTRL_D) {
          stop();
          reject(new WarrenError({ code: 'usage.cancelled', message: 'cancelled' }));
        } else if (keys.includes(key) && performance.now() >= fromMs) {
          stop();
          resolve(key);
        }
      };
      const onAbort = () => {
        stop();
        resolve(null);
      };
      const stop = () => {
        process.stdin.off('data', onData);
        signal?.removeEventListener('abort', onAbort);
      };
      process.stdin.on('data', onData);
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted) onAbort();
    });
  } finally {
    process.stdin.setRawMode(false);
    process.stdin.pause();
    process.stderr.write('\n');
  }
}
