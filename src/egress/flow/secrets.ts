// What the door asks of secrets: put them into a request that was allowed, on its way to an upstream whose
// certificate was verified. Filled by `secret/substitute.ts`; without one, nothing is put in.

import type { Transform } from 'node:stream';
import type { Protocol, RequestHead, Target } from '../policy/verdict.ts';

type HttpProtocol = Extract<Protocol, 'http' | 'https'>;

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
  | { misuse: string }
  /** A secret that has no value now: the request is denied. Likewise. */
  | { missing: string };

/** Of one body on its way. A misuse or a missing value destroys it with a `BodyDenied`. */
export interface BodySecrets {
  stream: Transform;
  /** Names of the secrets that were put in so far. */
  used: readonly string[];
}

export class BodyDenied extends Error {
  readonly isMisuse: boolean;

  /** `reason`: one line, safe to print, without the value. */
  constructor(reason: string, isMisuse: boolean) {
    super(reason);
    this.isMisuse = isMisuse;
  }
}

/** Takes what was put in out of an answer again, should the origin repeat it; also what is put in while the answer comes. */
export interface Scrub {
  /** Something was put in already. */
  isKnown: boolean;
  text(text: string): string;
  /** Whether the name of a header, in small letters, holds one: that header goes. */
  isIn(name: string): boolean;
  /** Puts placeholders in their place; the length may change. */
  body(): Transform;
  /** Keeps the length. `isText`: of others, short values are left. */
  mask(isText: boolean): Transform;
}

export interface Secrets {
  /**
   * `allowed`: when given, only these may be put in. Called for plain `http` too, where nothing may be put in and a
   * placeholder is a misuse. A rejection denies the request.
   */
  substitute(
    head: RequestHead,
    target: Target,
    protocol: HttpProtocol,
    allowed: readonly string[] | null,
  ): Substitution | Promise<Substitution>;
  /** Null, the usual case: the body passes as it is. */
  body?(
    head: RequestHead,
    target: Target,
    protocol: HttpProtocol,
    allowed: readonly string[] | null,
  ): BodySecrets | null;
  /** Null: no secret was put into a request to there, and none belongs there. */
  scrub?(target: Target): Scrub | null;
  /** The origin answered 401: their values may be old. */
  rejected?(names: readonly string[]): void;
}
