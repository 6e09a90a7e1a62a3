// Policy files that people edit by hand: looked at now and then while a door runs, so that what they take away counts
// soon. What a repository's file adds counts when somebody trusts it, and not before.

import { stat } from 'node:fs/promises';

const LOOK_EVERY_MS = 2_000;

export class FileWatch {
  readonly #paths: () => string[];
  readonly #onChange: () => void;
  #timer: NodeJS.Timeout | undefined;
  #seen = new Map<string, string>();

  /** `paths`: of the files that matter now; none: nothing is looked at. */
  constructor(paths: () => string[], onChange: () => void) {
    this.#paths = paths;
    this.#onChange = onChange;
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.look(), LOOK_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** A file that is looked at for the first time has not changed. */
  async look(): Promise<void> {
    const now = new Map<string, string>();
    for (const path of new Set(this.#paths())) {
      const found = await stat(path, { bigint: true }).catch(() => null);
      now.set(path, found ? `${found.ino} ${found.size} ${found.mtimeNs}` : '');
    }
    const before = this.#seen;
    this.#seen = now;
    if ([...now].some(([path, is]) => before.has(path) && before.get(path) !== is)) this.#onChange();
  }
}
