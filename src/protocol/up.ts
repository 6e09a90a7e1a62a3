// What `up` is asked for, and what it answers.

import type { BuildWish } from './build.ts';
import type { NetworkMode, NetworkView, SandboxView } from './sandbox-view.ts';

export interface UpRequest {
  /** null: a name is made up. */
  name: string | null;
  /** A folder in the repository on the host; null for a sandbox without a repository. */
  path: string | null;
  environment: string | null;
  build: BuildWish | null;
  cpus: number | null;
  memoryMib: number | null;
  diskGib: number | null;
  /** null: as the settings say. */
  network: NetworkMode | null;
  /** Fail when the name is taken instead of answering with the sandbox that has it. */
  fresh: boolean;
  /** false: what `prepare` says is not done. */
  prepare: boolean;
  /** The digest of what a person allowed, and was done; `skip`: it is not to be; null: nobody asked yet. */
  initialized: string | null;
}

export type HostCommand = string | string[];

/** A file or folder of this computer, and where a copy of it goes in the guest; both absolute. */
export interface Bind {
  source: string;
  target: string;
}

/** Details of `environment.initialize`. */
export interface InitializeDetails {
  /** What is to be run on this computer; null: nothing. */
  command: HostCommand | Record<string, HostCommand> | null;
  /** For people. */
  text: string;
  /** What of this computer is to be copied in. */
  binds: Bind[];
  /** Of the command and the files that it names, and of the paths that are copied. */
  digest: string;
  /** A person said yes to this digest before. */
  allowed: boolean;
  /** Where it is to be run. */
  root: string;
  files: string[];
}

/** One of those that a sandbox lies over, lowest first. */
export interface LayerView {
  kind: 'image' | 'template' | 'prepared';
  id: string;
  /** It was there already. */
  reused: boolean;
  /** Of a prepared one: the commit that it was prepared with; null when the repository had none. */
  at?: string | null;
}

export interface UpResult {
  sandbox: SandboxView;
  created: boolean;
  withheld: Withheld | null;
  network: NetworkView;
  /** What was found missing or weaker than it should be. */
  notices: string[];
  /** Empty when the sandbox was there already. */
  layers: LayerView[];
  timings: Record<string, number>;
}

/** What of the repository did not travel. Lists are cut at 20 entries, totals are not. */
export interface Withheld {
  untracked: string[];
  untrackedTotal: number;
  ignoredTotal: number;
  env: string[];
  submodulesNotCheckedOut: string[];
  notices: string[];
}
