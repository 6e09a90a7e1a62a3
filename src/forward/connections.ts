// The open connections of each sandbox: counted against a limit, and ended together when it stops or pauses.

import type { Duplex } from 'node:stream';
import { WarrenError } from '../protocol/error.ts';
import { FORWARD_LIMITS, type ForwardLimits } from './limits.ts';
import type { ForwardParts } from './parts.ts';
import { abort } from './relay.ts';

export class Connections {
  readonly limits: ForwardLimits;
  readonly #parts: ForwardParts;
  /** An abort controller for each that is open or being opened. */
  readonly #open = new Map<string, Set<AbortController>>();

  constructor(parts: ForwardParts) {
    this.#parts = parts;
    this.limits = { ...FORWARD_LIMITS, ...parts.limits };
  }

  count(sandbox: string): number {
    return this.#open.get(sandbox)?.size ?? 0;
  }

  /** Throws `forward.too-many`, `forward.slow`, and what `openPort` throws. The stream's end frees its place. */
  async open(sandbox: string, port: number): Promise<Duplex> {
    const all = this.#open.get(sandbox) ?? new Set();
    if (all.size >= this.limits.connections) {
      throw new WarrenError({
        code: 'forward.too-many',
        message: `sandbox "${sandbox}" has ${all.size} connections to its ports, and that is the most`,
      });
    }
    const mine = new AbortController();
    this.#open.set(sandbox, all.add(mine));
    const free = () => {
      all.delete(mine);
      if (all.size === 0 && this.#open.get(sandbox) === all) this.#open.delete(sandbox);
    };
    const timer = setTimeout(() => mine.abort(slow(sandbox, port, this.limits.openMs)), this.limits.openMs);
    try {
      const stream = await aborted(this.#parts.openPort(sandbox, port, mine.signal), mine.signal);
      stream.on('error', () => {});
      stream.once('close', free);
      mine.signal.addEventListener('abort', () => abort(stream), { once: true });
      if (stream.destroyed) free();
      return stream;
    } catch (error) {
      free();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends all of a sandbox. */
  drop(sandbox: string): void {
    for (const each of this.#open.get(sandbox) ?? []) each.abort(gone(sandbox));
  }

  dropAll(): void {
    for (const sandbox of [...this.#open.keys()]) this.drop(sandbox);
  }
}

/** What comes after the abort is ended. */
function aborted(opening: Promise<Duplex>, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      reject(signal.reason);
      opening.then(abort, () => {});
    };
    signal.addEventListener('abort', onAbort, { once: true });
    opening.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

function slow(sandbox: string, port: number, ms: number): WarrenError {
  return new WarrenError({
    code: 'forward.slow',
    message: `port ${port} of sandbox "${sandbox}" was not open within ${ms} ms`,
  });
}

function gone(sandbox: string): WarrenError {
  return new WarrenError({
    code: 'sandbox.wrong-state',
    message: `sandbox "${sandbox}" does not run any more`,
  });
}
