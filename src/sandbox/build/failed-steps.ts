// Steps that failed and are kept open for a person to look around in: the machine waits until it is told to go on, or
// until the build is cancelled.

import type { Link } from '../../machine/link/link.ts';
import { WarrenError } from '../../protocol/error.ts';

interface FailedStep {
  link: () => Promise<Link>;
  /** What sessions in it tell the agent. */
  headers: Record<string, string>;
  release: () => void;
}

export class FailedSteps {
  readonly #held = new Map<string, FailedStep>();

  /** Resolves when the step is released, or the build is cancelled. */
  async hold(
    id: string,
    step: Omit<FailedStep, 'release'>,
    signal: AbortSignal,
    tell: () => void,
  ): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) return;
    this.#held.set(id, { ...step, release: resolve });
    tell();
    await promise.finally(() => this.#held.delete(id));
  }

  /** Throws `build.not-found`. */
  get(id: string): FailedStep {
    const found = this.#held.get(id);
    if (found) return found;
    throw new WarrenError({ code: 'build.not-found', message: `no step of a build "${id}" is kept open` });
  }
}
