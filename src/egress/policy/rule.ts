// What a policy is made of, once it was read. A rule is one entry of a file, a profile or an answer of a person.

import type { Cidr } from '../names/address.ts';
import type { Protocol } from './verdict.ts';

/** `open` lets everything public through and must be spelled; absent means `mediated`. */
export type Network = 'none' | 'mediated' | 'open';

/** In the order of precedence. `session` is an answer "once" of a person. */
export const SOURCES = ['session', 'sandbox', 'project', 'user'] as const;
export type Source = (typeof SOURCES)[number];

export type Where =
  | { kind: 'name'; name: string }
  /** Every name under it, at any depth, and not itself. */
  | { kind: 'under'; suffix: string }
  /** The only kind that an address matches, and it matches no name. */
  | { kind: 'cidr'; cidr: Cidr };

export interface Speaks {
  protocol: Protocol;
  ports: readonly number[];
}

export interface Rule {
  /** `project:allow[2]:example.com`, `profile:npm[0]:registry.npmjs.org`: printable, told with each decision. */
  id: string;
  effect: 'allow' | 'deny';
  where: Where;
  /** What an allow rule lets through; a deny rule has none. */
  speaks: readonly Speaks[];
  /** What a deny rule is about; null is whatever is spoken, and every port. */
  only: { protocol: Protocol | null; ports: readonly number[] | null };
  methods: readonly string[] | null;
  /** See `path.ts`. */
  paths: readonly string[] | null;
  git: { fetch: boolean; push: string | null } | null;
  allowPrivate: boolean;
  stripHeaders: readonly string[];
  hostService: number | null;
  /** When given, no other secrets may be put in. */
  secrets: readonly string[] | null;
  comment: string | null;
}

export interface Ruleset {
  source: Source;
  /** Null: this file says nothing about it. */
  network: Network | null;
  ask: boolean;
  /** Null: the file has no `egress` at all, and the caller may choose profiles that fit. */
  profiles: readonly string[] | null;
  rules: readonly Rule[];
  /** With `network: none`: why, where no file says it. Part of a sentence, safe to print. */
  because?: string;
}

/** An entry as it is written in `warren.json`. */
export type Entry = string | EntryObject;

export interface EntryObject {
  host?: string;
  cidr?: string;
  hostService?: number;
  ports?: number[];
  protocol?: Protocol;
  http?: boolean;
  methods?: string[];
  paths?: string[];
  git?: { fetch?: boolean; push?: string };
  registry?: 'read';
  allowPrivate?: boolean;
  stripHeaders?: string[];
  secrets?: string[];
  comment?: string;
}

/** The one name by which a guest reaches services of this computer's loopback. */
export const HOST_SERVICE_NAME = 'host.warren.internal';
export const MAX_RULES = 10_000;
export const REFUSED_METHODS = ['CONNECT', 'TRACE', 'TRACK'];
