// How many flows are taken apart at once: each costs a third of a MiB, so fewer than there may be flows. Who comes when
// all places are taken gets that of the connection that has rested longest, as any server may close one between two
// requests; while all are at work it waits. A new connection rests only when its first request has not come for a while:
// a client asks again after a close between two requests, and seldom after one before the first.

const FIRST_REQUEST_MS = 5000;

export class Places {
  readonly #most: number;
  readonly #waitMs: number;
  #taken = 0;
  /** The longest rested first. */
  readonly #resting = new Set<Place>();
  readonly #waiting = new Set<(place: Place) => void>();

  constructor(most: number, waitMs: number) {
    this.#most = most;
    this.#waitMs = waitMs;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Null: none became free in time. */
  async take(): Promise<Place | null> {
    const [rested] = this.#resting;
    if (this.#taken >= this.#most && rested) rested.giveUp();
    if (this.#taken < this.#most) return this.#hand();
    const { promise, resolve } = Promise.withResolvers<Place | null>();
    const timer = setTimeout(() => resolve(null), this.#waitMs);
    this.#waiting.add(resolve);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(resolve);
    }
  }

  #hand(): Place {
    this.#taken += 1;
    const place: Place = new Place({
      rests: () => {
        this.#resting.add(place);
        if (this.#waiting.size > 0) place.giveUp();
      },
      works: () => this.#resting.delete(place),
      left: () => {
        this.#resting.delete(place);
        this.#taken -= 1;
        const [next] = this.#waiting;
        if (!next) return;
        this.#waiting.delete(next);
        next(this.#hand());
      },
    });
    return place;
  }
}

interface Told {
  rests(): void;
  works(): void;
  left(): void;
}

export class Place {
  readonly #told: Told;
  #requests = 0;
  #close: (() => void) | null = null;
  #first: NodeJS.Timeout | undefined;
  #left = false;

  constructor(told: Told) {
    this.#told = told;
  }

  /** From now on it may be closed whenever no request is under way. `close` must not cut an answer short. */
  opened(close: () => void): void {
    this.#close = close;
    if (this.#requests > 0 || this.#left) return;
    this.#first = setTimeout(() => this.#told.rests(), FIRST_REQUEST_MS).unref();
  }

  begin(): void {
    clearTimeout(this.#first);
    this.#requests += 1;
    this.#told.works();
  }

  end(): void {
    this.#requests -= 1;
    if (this.#requests === 0 && this.#close && !this.#left) this.#told.rests();
  }

  giveUp(): void {
    this.#close?.();
    this.leave();
  }

  leave(): void {
    if (this.#left) return;
    clearTimeout(this.#first);
    this.#left = true;
    this.#told.left();
  }
}
