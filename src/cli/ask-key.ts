// Asks for single keys on a terminal. What is typed at another time is not shown.

import { WarrenError } from '../protocol/error.ts';
import { wrapWords } from './wrap-words.ts';

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';

/** Has the terminal until it is closed. */
export class Keys {
  readonly #onCancel: () => void;
  #take: (key: string) => void = () => {};

  /** `onCancel`: Ctrl-C, at any time. */
  constructor(onCancel: () => void) {
    this.#onCancel = onCancel;
    process.stdin.setRawMode(true);
    process.stdin.on('data', this.#onData).resume();
  }

  readonly #onData = (bytes: Buffer) => {
    const key = bytes.toString('latin1')[0]!.toLowerCase();
    if (key === CTRL_C || key === CTRL_D) this.#onCancel();
    else this.#take(key);
  };

  /**
   * One of `keys`; anything else is not an answer, nor is what comes within `readMs`. Null once `signal` is aborted.
   */
  async ask(question: string, keys: string, signal?: AbortSignal, readMs = 0): Promise<string | null> {
    const fromMs = performance.now() + readMs;
    process.stderr.write(wrapWords(question.trimEnd(), process.stderr.columns).join('\n'));
    process.stderr.write(' ');
    const { promise, resolve } = Promise.withResolvers<string | null>();
    this.#take = (key) => {
      if (keys.includes(key) && performance.now() >= fromMs) resolve(key);
    };
    const onAbort = () => resolve(null);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    const key = await promise;
    signal?.removeEventListener('abort', onAbort);
    this.#take = () => {};
    process.stderr.write('\n');
    return key;
  }

  close(): void {
    process.stdin.off('data', this.#onData).pause();
    process.stdin.setRawMode(false);
  }
}

/** Once. Rejects with `usage.cancelled` for Ctrl-C. */
export async function askKey(question: string, keys: string): Promise<string | null> {
  const cancelled = Promise.withResolvers<never>();
  const terminal = new Keys(() =>
    cancelled.reject(new WarrenError({ code: 'usage.cancelled', message: 'cancelled' })),
  );
  try {
    return await Promise.race([terminal.ask(question, keys), cancelled.promise]);
  } catch (error) {
    process.stderr.write('\n');
    throw error;
  } finally {
    terminal.close();
  }
}
