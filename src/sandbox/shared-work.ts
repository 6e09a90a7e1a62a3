// Work that several ask for at once is done once: all see its progress, and it is cancelled when the last who waits goes.

import type { OnProgress } from './rooms.ts';

interface Running<T> {
  promise: Promise<T>;
  abort: AbortController;
  waiters: Set<OnProgress>;
}

export class SharedWork<T> {
  readonly #running = new Map<string, Running<T>>();

  do(
    key: string,
    work: (onProgress: OnProgress, signal: AbortSignal) => Promise<T>,
    onProgress: OnProgress,
    signal?: AbortSignal,
  ): Promise<T> {
    let running = this.#running.get(key);
    if (!running) {
      running = this.#start(key, work);
      this.#running.set(key, running);
    }
    const { promise, waiters, abort } = running;
    // Each who asks is counted, also one who asks twice.
    const waiter: OnProgress = (progress) => onProgress(progress);
    waiters.add(waiter);
    const leave = () => {
      waiters.delete(waiter);
      if (waiters.size === 0) abort.abort();
    };
    signal?.addEventListener('abort', leave, { once: true });
    if (signal?.aborted) leave();
    return promise.finally(() => signal?.removeEventListener('abort', leave));
  }

  #start(key: string, work: (onProgress: OnProgress, signal: AbortSignal) => Promise<T>): Running<T> {
    const abort = new AbortController();
    const waiters = new Set<OnProgress>();
    const tell: OnProgress = (progress) => {
      for (const waiter of waiters) waiter(progress);
    };
    const promise = work(tell, abort.signal).finally(() => this.#running.delete(key));
    promise.catch(() => {});
    return { promise, abort, waiters };
  }
}
