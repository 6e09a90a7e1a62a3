// A stage while its steps are planned: the configuration of its image, the variables, and how words are filled in.

import { type ExpandOptions, expand } from './expand.ts';
import type { ImageConfig } from './image-config.ts';
import { dockerfileLimits as limits } from './limits.ts';
import { resolvePath } from './paths.ts';
import { Problem, quote } from './problem.ts';
import type { StageBase, StagePlan } from './stage-plan.ts';

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const DEFAULT_SHELL = ['/bin/sh', '-c'];

export class StageState {
  readonly plan: StagePlan;
  readonly config: ImageConfig;
  /** ENV and ARG as expansion and RUN see them. */
  readonly env: Map<string, string>;
  /** A CMD of this stage outlives a later ENTRYPOINT; an inherited one does not. */
  hasCmd = false;
  private chars = 0;

  constructor(plan: StagePlan, base: StageBase) {
    this.plan = plan;
    this.config = { ...structuredClone(base.config), OnBuild: [] };
    if (!this.config.Env.some((pair) => nameOf(pair) === 'PATH'))
      this.config.Env.push(`PATH=${DEFAULT_PATH}`);
    this.env = new Map(base.scope?.env ?? []);
    // The image's own again: they win over ARGs of the stage below.
    for (const pair of this.config.Env) this.env.set(nameOf(pair), pair.slice(nameOf(pair).length + 1));
    const { WorkingDir } = this.config;
    if (WorkingDir !== '') this.config.WorkingDir = resolvePath(WorkingDir, WorkingDir);
  }

  /** Throws a `Problem`. */
  fill(word: string, options: ExpandOptions = {}, env: ReadonlyMap<string, string> = this.env): string {
    const { text } = expand(word, env, { escape: this.plan.escape, ...options });
    this.count(text);
    return text;
  }

  fillWords(word: string): string[] {
    const { words, text } = expand(word, this.env, { escape: this.plan.escape });
    this.count(text);
    return words;
  }

  setVariable(name: string, value: string): void {
    if (name.includes('\0') || value.includes('\0'))
      throw new Problem(`the variable ${quote(name)} has a NUL in it`);
    this.env.set(name, value);
    if (this.env.size > limits.variables)
      throw new Problem(`there are more than ${limits.variables} variables`);
  }

  /** What shell forms are run by, with `line` at its end. */
  withShell(line: string): string[] {
    return [...(this.config.Shell?.length ? this.config.Shell : DEFAULT_SHELL), line];
  }

  /** All that the plan of a stage says has a limit, however its variables grow. */
  count(text: string): void {
    this.chars += text.length;
    if (this.chars > limits.planChars)
      throw new Problem(
        `the stage grows beyond ${limits.planChars} characters when its variables are filled in`,
      );
  }
}

export function nameOf(pair: string): string {
  const equals = pair.indexOf('=');
  return equals < 0 ? pair : pair.slice(0, equals);
}

/** A path that a step works with; no kernel takes a NUL in one. */
export function checkPath(path: string): string {
  if (path.includes('\0')) throw new Problem(`the path ${quote(path)} has a NUL in it`);
  return path;
}
