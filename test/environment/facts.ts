// The facts that other implementations' tests state, read; each row passes or is told of.

import { readFileSync } from 'node:fs';
import { Problem } from '../../src/environment/dockerfile/problem.ts';
import { WarrenError } from '../../src/protocol/error.ts';

export const isProblem = (error: unknown): boolean => error instanceof Problem;
export const isRefusal = (error: unknown): boolean => error instanceof WarrenError;

export function readFacts<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`facts/${name}`, import.meta.url), 'utf8')) as T;
}

/** What is refused is an answer, anything else that is thrown a mistake of ours. */
export function attempt<T>(act: () => T, isAnswer: (error: unknown) => boolean): T | null {
  try {
    return act();
  } catch (error) {
    if (isAnswer(error)) return null;
    throw error;
  }
}
