// Keeps the door of one machine: waits until the guest wants out, starts a door process, and starts another when it
// has ended and the guest wants out again. While there is none, nothing gets out.

import type { DoorConfig } from '../../egress/door/messages.ts';
import type { Ruleset } from '../../egress/policy/rule.ts';
import type { SecretBinding } from '../../egress/secret/binding.ts';
import type { Machine } from '../../machine/machine.ts';
import { type DoorChild, startDoor } from './child.ts';
import type { Questions } from './questions.ts';

export interface Kept {
  machine: Machine;
  /** The built `door-process.js`. */
  program: string;
  /** Made anew for each process. A rejection: no door, and the guest's connections wait until they fail. */
  config(): Promise<DoorConfig>;
  questions: Questions;
  /** For the journal. */
  onFailure(why: string): void;
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 30_000;

export class DoorKeeper {
  readonly #kept: Kept;
  readonly #closed = new AbortController();
  readonly #running: Promise<void>;
  #child: DoorChild | undefined;

  constructor(kept: Kept) {
    this.#kept = kept;
    this.#running = this.#run();
  }

  get machine(): Machine {
    return this.#kept.machine;
  }

  /** Of the door's process; undefined while there is none. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  usePolicy(rulesets: readonly Ruleset[]): void {
    this.#child?.send({ type: 'policy', rulesets });
  }

  useSecrets(secrets: readonly SecretBinding[]): void {
    this.#child?.send({ type: 'secrets', secrets });
  }

  /** What is open is reset; the next flow gets a door of a new config. */
  restart(): void {
    this.#child?.stop();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#kept.questions.dropAll();
    this.#child?.stop();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closed;
    let pauseMs = 0;
    while (!signal.aborted && this.#kept.machine.alive) {
      const went = await this.#once().catch((error: Error) => error.message);
      if (signal.aborted) return;
      if (went === null) {
        pauseMs = 0;
        continue;
      }
      if (went !== '') this.#kept.onFailure(went);
      pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, pauseMs * 2));
      await sleep(pauseMs, signal);
    }
  }

  /** Null when a door served and ended; else why not, empty when that is nobody's fault. */
  async #once(): Promise<string | null> {
    const { machine, program, questions } = this.#kept;
    const { signal } = this.#closed;
    try {
      const link = await machine.link();
      await link.json('/warren/egress/wanted', { timeoutMs: 0, signal });
    } catch {
      return '';
    }
    const config = await this.#kept.config();
    if (signal.aborted) return '';
    const child = startDoor(program, config, (message) => {
      questions.hear(message, (yes) => child.send({ type: 'answer', id: message.id, yes }));
    });
    this.#child = child;
    const { served, said } = await child.ended;
    this.#child = undefined;
    questions.dropAll();
    return served ? null : said || 'the door process ended at once';
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
