// What the daemon tells of a sandbox's policy and takes for it, and records of its audit. Hosts, methods and paths in
// records were chosen by a guest: sanitise before showing.

import type { NetworkView } from './api.ts';

export interface RuleView {
  /** `sandbox:allow[0]:example.com`: the name that decisions are told with. */
  id: string;
  effect: 'allow' | 'deny';
  where: string;
  /** `https:443`; empty for a deny rule about everything that is spoken there. */
  speaks: string[];
  methods: string[] | null;
  paths: string[] | null;
  git: { fetch: boolean; push: string | null } | null;
  allowPrivate: boolean;
  comment: string | null;
  /** Why the door never lets it through all the same. */
  never: string | null;
}

export interface PolicyView {
  name: string;
  network: NetworkView;
  /** In the order of precedence. */
  rules: RuleView[];
  files: { sandbox: string; project: string | null; repository: string | null; user: string };
}

export type RuleScope = 'sandbox' | 'project';

/** One rule for each of `hosts`: `example.com`, `*.example.com:8443`, `10.1.0.0/16`. */
export interface RulesRequest {
  effect: 'allow' | 'deny';
  scope: RuleScope;
  /** Takes such rules away instead. */
  remove: boolean;
  hosts: string[];
  /** Ports of this computer's loopback, as `host.warren.internal`. */
  hostServices: number[];
  /** Null: https, or http at port 80. */
  protocol: 'http' | 'tcp' | 'tls-passthrough' | null;
  methods: string[];
  paths: string[];
  /** Of git alone. `push`: refs, such as `refs/heads/warren/*`. */
  git: { fetch: boolean; push: string | null } | null;
  allowPrivate: boolean;
}

export interface RulesResult {
  /** What was not there before, or is not there any more; as in `warren.json`. */
  changed: unknown[];
  /** What still speaks against it; of what was to be taken away and is not there, what there is. */
  notices: string[];
}

export interface CheckResult {
  decision: 'allow' | 'deny' | 'ask';
  ruleId: string | null;
  reason: string | null;
  /** Behind `warren policy allow NAME`. */
  allowWith: string | null;
  /** What would change it, as a whole command where there is one. */
  remedy: string | null;
}

export interface ProposalView {
  /** The whole of `egress` for `warren.json`: what is there, or the profiles that fit, and the entries. */
  egress: Record<string, unknown>;
  /** What is in it of it: what is in `warren.json`, or the profiles that fit and that any `egress` replaces. */
  keeps: 'file' | 'profiles' | null;
  /** Of its `allow`, what is new. */
  entries: unknown[];
  left: { host: string; why: string }[];
}

export interface TrustView {
  state: NetworkView['trust'];
  /** Of what `warren.json` says now: trust is given to this. */
  digest: string;
  /** The keys `network` and `egress` of `warren.json` as they are. */
  asks: { network?: unknown; egress?: unknown };
  /** What was trusted before. */
  trusted: { network?: unknown; egress?: unknown } | null;
}

/** `never` denies from now on. All but `once` and `no` become rules. */
export type Answer = 'once' | 'sandbox' | 'project' | 'no' | 'never';
export const ANSWERS: readonly Answer[] = ['once', 'sandbox', 'project', 'no', 'never'];

/** A question of a door to a person. */
export interface AskView {
  id: number;
  /** ASCII. */
  host: string;
  port: number;
  protocol: string;
  reason: string;
  /** The part of the name that somebody registered; null for addresses. */
  registrable: string | null;
  /** That letters of the name imitate others, in words that are safe to print. */
  warning: string | null;
}

/** One line of `audit.jsonl`; what else it holds depends on `kind`. */
export interface AuditRecordView {
  seq: number;
  time: string;
  kind: 'dns' | 'flow' | 'request' | 'notice';
  flow: number | null;
  host: string;
  port: number | null;
  decision: 'allow' | 'deny' | 'ask';
  ruleId: string | null;
  reason: string | null;
  begun?: true;
  type?: string;
  answer?: string;
  protocol?: string | null;
  method?: string;
  path?: string;
  status?: number | null;
  cached?: true;
  code?: string;
  secrets?: readonly string[];
  bytesUp?: number;
  bytesDown?: number;
  [key: string]: unknown;
}

/** How a commit came home, and what is kept of what its sandbox did on the network until then. */
export interface CommitAudit {
  commit: string;
  /** That bears the note: the last of those that came home together, or a merge of them. */
  noted: string;
  sandbox: { name: string; id: string; removed: boolean };
  /** Numbers of the records between this hand-back and the one before; null when there is none. */
  records: { first: number; last: number } | null;
  /** How many of them are not kept any more. */
  forgotten: number;
  /** Why what is kept is not what the note speaks of. */
  broken: string | null;
}

export interface AuditCheck {
  records: number;
  /** Number of the oldest record that is kept. */
  first: number | null;
  head: { seq: number; hash: string } | null;
  /** `line` 0: the file as a whole. */
  broken: { file: string; line: number; why: string } | null;
}
