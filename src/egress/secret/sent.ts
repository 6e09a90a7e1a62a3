// What was sent to which host, in the spellings in which a door writes it, and what to put in their place should the
// host repeat it. Limits: 4 values of one secret and 8 of Basic a host, the newest.

import { decodeBasic } from './find.ts';
import { spellingsOf } from './spellings.ts';

/** Of one secret: an origin may repeat one that was rotated a moment ago. */
const MAX_VALUES = 4;
const MAX_BASIC = 8;

interface Host {
  /** By the value, its placeholder. */
  values: Map<string, string>;
  /** By what was sent behind `Basic`, what the guest had written. */
  basic: Map<string, string>;
  /** Made of both; null when one of them has changed. */
  pairs: Pairs | null;
}

export type Pairs = readonly (readonly [real: string, given: string])[];
const NONE: Pairs = [];

type Headers = readonly (readonly [name: string, value: string])[];

export class SentValues {
  readonly #hosts = new Map<string, Host>();

  note(host: string, value: string, placeholder: string): void {
    const known = this.#at(host);
    const { values } = known;
    if (!values.has(value)) known.pairs = null;
    values.delete(value);
    values.set(value, placeholder);
    const same = [...values].filter(([, each]) => each === placeholder);
    if (same.length > MAX_VALUES) values.delete(same[0]![0]);
  }

  /** `given` and `put` are the same list, before and after. */
  noteHeaders(host: string, given: Headers, put: Headers): void {
    for (const [at, [, value]] of put.entries()) {
      const before = given[at]![1];
      const basic = before === value ? null : decodeBasic(value);
      if (!basic) continue;
      const one = this.#at(host);
      const { basic: known } = one;
      const real = value.slice(basic.scheme.length).trim();
      if (!known.has(real)) one.pairs = null;
      known.delete(real);
      known.set(real, before.slice(basic.scheme.length).trim());
      if (known.size > MAX_BASIC) known.delete(known.keys().next().value!);
    }
  }

  /** Longest first: one may begin another. The same list as long as nothing else is sent there. */
  pairs(host: string): Pairs {
    const known = this.#hosts.get(host);
    if (!known) return NONE;
    if (known.pairs) return known.pairs;
    const all = new Map(known.basic);
    for (const [value, placeholder] of known.values)
      for (const [real, given] of spellingsOf(value, placeholder)) all.set(real, given);
    known.pairs = [...all].sort(([a], [b]) => b.length - a.length);
    return known.pairs;
  }

  #at(host: string): Host {
    const known = this.#hosts.get(host) ?? { values: new Map(), basic: new Map(), pairs: null };
    this.#hosts.set(host, known);
    return known;
  }
}
