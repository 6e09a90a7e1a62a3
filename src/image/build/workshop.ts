// What a build needs of a machine in which steps run. The conductor hands one in; nothing here knows how it is made.

import type { Duplex, Readable, Writable } from 'node:stream';
import type { WarrenError } from '../../protocol/error.ts';
import type { Layer } from '../image.ts';

/** A tree that can be read in it. */
export type Tree = { layer: number } | { stage: string } | { tree: string };

export interface StepMount {
  kind: 'bind' | 'cache' | 'tmpfs';
  target: string;
  stage?: string;
  layer?: number;
  tree?: string;
  source?: string;
  writable?: boolean;
  id?: string;
  mode?: number;
  uid?: number;
  gid?: number;
  sizeBytes?: number;
}

export interface StepFile {
  target: string;
  content: Buffer;
  mode: number;
  uid: number;
  gid: number;
}

/** Programs of the step that connect to it are told to `acceptSocket`. */
export interface StepSocket {
  target: string;
  mode: number;
  uid: number;
  gid: number;
}

export interface StepCommand {
  argv: readonly string[];
  env: Record<string, string>;
  user: string;
  workdir: string;
  network: 'default' | 'none';
}

export interface StepCopy {
  dest: string;
  folder: boolean;
  chown: string;
  chmod: string;
}

export type StepEvent =
  | { kind: 'stdout' | 'stderr'; data: Buffer }
  | { kind: 'end'; exitCode: number; status: string };

export interface Builder {
  beginStage(stage: string, on: { layer: number } | { stage: string } | null): Promise<void>;
  openStep(
    stage: string,
    step: {
      run: boolean;
      mounts?: readonly StepMount[];
      files?: readonly StepFile[];
      sockets?: readonly StepSocket[];
    },
  ): Promise<void>;
  run(stage: string, command: StepCommand): AsyncIterable<StepEvent>;
  /** Waits for a program of the open step; `number` is the socket's, in the order in which they were named. */
  acceptSocket(stage: string, signal: AbortSignal): Promise<{ number: number; from: Readable; to: Writable }>;
  makeFolder(stage: string, path: string, user: string): Promise<void>;
  /** A tar that begins with `copy.json`. */
  copy(entries: Readable): Promise<void>;
  copyFrom(
    stage: string,
    from: Tree,
    copy: StepCopy & { patterns: readonly string[]; parents: boolean; excludes: readonly string[] },
  ): Promise<void>;
  putTree(name: string, entries: Readable): Promise<void>;
  /** Answers whether the step left something behind. */
  closeStep(stage: string, keep: boolean): Promise<boolean>;
  layer(stage: string): Promise<Readable>;
  /** A connection to an HTTP proxy that is the only way out of the machine. */
  proxy(): Promise<Duplex>;
}

export interface Workshop {
  builder: Builder;
  /** Whom to trust behind the proxy. */
  certificatePem: string;
  /** What wanted out and was not let through, a line each. */
  denied(): Promise<string[]>;
  /** Why the machine cannot go on; undefined: nothing is known. */
  broken(): Promise<WarrenError | undefined>;
  end(): Promise<void>;
}

export interface WorkshopRequest {
  layers: Layer[];
  /** The text of all RUNs to come: what they use decides what the network is for. */
  commands: string[];
  /** A step has a mount of type cache. */
  caches: boolean;
  signal: AbortSignal;
}

export type OpenWorkshop = (request: WorkshopRequest) => Promise<Workshop>;
