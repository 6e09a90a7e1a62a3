// Where files of a build come from.

import type { Reference } from '../reference.ts';

export type Source = { kind: 'scratch' } | StageSource | ImageSource | ContextSource;

export interface StageSource {
  kind: 'stage';
  /** Of the stages of the file, from 0. */
  index: number;
}

export interface ImageSource {
  kind: 'image';
  reference: Reference;
  /** As the Dockerfile has it, expanded: for people. */
  text: string;
  /** OCI's `linux/arm64`; null: this build's. */
  platform: string | null;
}

export interface ContextSource {
  kind: 'context';
  /** null: the main one. */
  name: string | null;
}
