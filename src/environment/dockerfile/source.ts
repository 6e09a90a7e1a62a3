// Where files of a build come from, and which of them a name means.

import { WarrenError } from '../../protocol/error.ts';
import { formatReference, parseReference, type Reference } from '../reference.ts';
import { Problem, quote } from './problem.ts';

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

export const MAIN_CONTEXT: ContextSource = { kind: 'context', name: null };

/** What is neither scratch nor a stage: a named context, or an image. Throws a `Problem`. */
export function outsideSource(
  name: string,
  contexts: ReadonlySet<string>,
  platform: string | null,
): ContextSource | ImageSource {
  const context = findContext(name, contexts);
  if (context !== null) return context;
  return { kind: 'image', reference: referenceOf(name), text: name, platform };
}

/** Names of contexts are compared as images' are: `alpine` is `docker.io/library/alpine:latest`. */
export function findContext(name: string, contexts: ReadonlySet<string>): ContextSource | null {
  if (contexts.size === 0 || ['scratch', 'context'].includes(name.toLowerCase())) return null;
  const wanted = canonical(name);
  for (const context of contexts)
    if (canonical(context) === wanted) return { kind: 'context', name: context };
  return null;
}

/** Equal text, equal source. */
export function sourceKey(source: Source): string {
  if (source.kind === 'image') return `image ${formatReference(source.reference)} ${source.platform ?? ''}`;
  if (source.kind === 'stage') return `stage ${source.index}`;
  return source.kind === 'scratch' ? 'scratch' : `context ${JSON.stringify(source.name)}`;
}

export function uniqueSources(sources: Iterable<Source>): Source[] {
  return [...new Map([...sources].map((source) => [sourceKey(source), source])).values()];
}

function canonical(name: string): string {
  try {
    return formatReference(parseReference(name));
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error;
    return name;
  }
}

function referenceOf(name: string): Reference {
  try {
    return parseReference(name);
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error;
    throw new Problem(`${quote(name)} is neither a stage before this one nor an image: ${error.message}`, {
      at: name,
      remedy: 'name an image like debian:bookworm, or a stage that stands before',
    });
  }
}
