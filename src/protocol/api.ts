// The daemon's API: shapes that cross its unix socket, as JSON. docs/API.md is made of the same words.

import type { FailedStepView } from './build.ts';
import type { ErrorShape } from './error.ts';

export type { PrunedItem, PruneRequest, PruneResult } from './prune.ts';

import type { NetworkView, SandboxView } from './sandbox-view.ts';

export type {
  NetworkMode,
  NetworkView,
  RepositoryView,
  SandboxState,
  SandboxView,
  SetupView,
} from './sandbox-view.ts';
export type { InitializeDetails, LayerView, UpRequest, UpResult, Withheld } from './up.ts';

/** `show`: what `ls` says, and how the machine stands now. */
export interface SandboxDetail extends SandboxView {
  machine: MachineView | null;
  network: NetworkView;
  folder: string;
  diskUsedMib: number;
  /** Why a sandbox is `crashed`, when that is known. */
  note: string | null;
  /** What a shell of a person runs first; null: nothing. */
  attach: string | null;
}

export interface MachineView {
  pid: number;
  vmm: string;
  accelerator: string;
  confinement: string[];
  privateMib: number;
  proportionalMib: number;
  cpuSeconds: number;
}

export interface CommitView {
  id: string;
  author: string;
  email: string;
  timeUnix: number;
  subject: string;
}

export interface ChangeView {
  status: string;
  path: string;
}

export interface DiffResult {
  branch: string | null;
  head: string | null;
  base: string | null;
  commits: CommitView[];
  commitsTotal: number;
  changes: ChangeView[];
  changesTotal: number;
  /** `git diff --stat` or the patch, as asked; the guest's words. */
  text: string;
}

export interface RiskView {
  path: string;
  kind: string;
  why: string;
}

export interface FetchResult {
  ref: string;
  tip: string;
  commits: number;
  /** false: the branch was rewritten and no longer contains the commit that it started from. */
  descends: boolean;
  risks: RiskView[];
  /** Tracked or new files in the guest that no commit holds. */
  uncommitted: ChangeView[];
  uncommittedTotal: number;
  submodules: { path: string; ref: string; tip: string; commits: number }[];
}

export interface MergeRequest {
  squash: boolean;
  message: string | null;
  /** Commit what the guest has not committed, with `message`, before fetching. */
  commit: boolean;
  /** Merge although the sandbox's history was rewritten. */
  allowRewritten: boolean;
}

export interface MergeResult {
  fetch: FetchResult;
  merge: {
    kind: 'up-to-date' | 'fast-forward' | 'merged' | 'squashed' | 'conflicts';
    commit: string | null;
    conflicts: string[];
    into: string;
  };
  /** Of the policy in `warren.json` as it is now; null: there is none, or it cannot be used. */
  trust: NetworkView['trust'] | null;
}

export interface TemplateView {
  id: string;
  createdAt: string;
  /** When a sandbox was last made of it. */
  usedAt: string;
  cpus: number;
  memoryMib: number;
  diskGib: number;
  kernel: string;
  image: string;
  sizeMib: number;
  buildMs: number;
  bootMs: number;
  usedBy: string[];
  /** The repository that lies prepared in it; null: none does. */
  preparedFor: string | null;
  damaged: string | null;
}

/** `template show`: all of one that is not damaged. */
export interface TemplateDetail extends TemplateView {
  folder: string;
  /** All that makes two templates different. */
  key: Record<string, string | number>;
  /** For people: what its image was made of; null: the record is gone. */
  from: string | null;
  /** Names that stand for its image now. */
  names: string[];
  imageFolder: string;
  /** Its disks, lowest first; shared ones are in other images too. */
  layers: { file: string; bytes: number; shared: boolean }[];
  /** Its own files, and what they take. */
  files: { file: string; bytes: number }[];
  settings: { user: string; workdir: string; env: Record<string, string> } | null;
  /** null: no repository was prepared in it. */
  prepared: { root: string; commands: string[]; head: string | null } | null;
}

export interface DoctorCheck {
  name: string;
  state: 'ok' | 'weaker' | 'missing';
  says: string;
  remedy?: string;
}

export interface DaemonInfo {
  version: string;
  /** Identifies the built code: a client of other code restarts the daemon. */
  build: string;
  generation: number;
  pid: number;
  startedAt: string;
  rssMib: number;
  sandboxes: number;
}

export interface JournalRecord {
  time: string;
  event: string;
  [key: string]: unknown;
}

/** Long calls answer with NDJSON: progress and events, then one result or one error. */
export type StreamedLine<T> =
  | { progress: Progress }
  | { event: unknown }
  | { result: T }
  | { error: ErrorShape };

export interface Progress {
  step: string;
  /** A line that the step printed: safe to show. */
  log?: string;
  done?: number;
  total?: number;
  /** Asked for with `debug`: it waits to be released. */
  failedStep?: FailedStepView;
}
