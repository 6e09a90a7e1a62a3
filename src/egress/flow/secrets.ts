// What the door asks of secrets: put them into a request that was allowed, on its way to an upstream whose
// certificate was verified. Filled by whoever keeps them; without one, nothing is put in.

import type { Protocol, RequestHead, Target } from '../policy/verdict.ts';

export type Substitution =
  | {
      /** Of the request as it will be sent; same shape as in `RequestHead`. */
      headers: RequestHead['headers'];
      /** With its query; absent: as it was. */
      path?: string;
      /** Names of the secrets that were put in. */
      used: readonly string[];
    }
  /** A placeholder where it does not belong: the request is denied. One line, safe to print, without the value. */
  | { misuse: string };

export interface Secrets {
  /**
   * `allowed`: when given, only these may be put in. Called for plain `http` too, where nothing may be put in and a
   * placeholder is a misuse. A rejection denies the request.
   */
  substitute(
    head: RequestHead,
    target: Target,
    protocol: Extract<Protocol, 'http' | 'https'>,
    allowed: readonly string[] | null,
  ): Substitution | Promise<Substitution>;
}
