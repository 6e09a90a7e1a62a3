// Instructions that change what an image says of itself, and make no layer.

import { dockerfileLimits as limits } from './limits.ts';
import { parsePorts } from './ports.ts';
import { Problem, quote } from './problem.ts';
import { isSignal } from './signals.ts';
import { checkPath, nameOf, type StageState } from './stage-state.ts';
import type { ArgStatement, CommandLine, Pair, Statement } from './statement.ts';

/** Not into the environment: for BuildKit's own use. */
const NEVER_VARIABLES = ['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE'];

/** false: the statement is none of these. Throws a `Problem`. */
export function applySetting(state: StageState, statement: Statement): boolean {
  const { config } = state;
  switch (statement.kind) {
    case 'env':
      applyEnv(state, statement.pairs);
      return true;
    case 'arg':
      applyArgs(state, statement);
      return true;
    case 'label':
      for (const { name, value } of fillPairs(state, statement.pairs)) setOwn(config.Labels, name, value);
      return true;
    case 'user':
      config.User = state.fill(statement.user);
      return true;
    case 'volume':
      for (const path of statement.paths) addVolume(state, path);
      return true;
    case 'expose':
      applyExpose(state, statement.ports);
      return true;
    case 'stopsignal':
      config.StopSignal = state.fill(statement.signal);
      if (!isSignal(config.StopSignal))
        throw new Problem(`STOPSIGNAL has ${quote(config.StopSignal)}: a signal like SIGTERM was expected`);
      return true;
    case 'shell':
      config.Shell = statement.shell;
      return true;
    case 'healthcheck':
      config.Healthcheck = statement.healthcheck;
      return true;
    case 'cmd':
      config.Cmd = wordsOf(state, statement.command);
      config.ArgsEscaped = true;
      state.hasCmd = true;
      return true;
    case 'entrypoint': {
      const words = wordsOf(state, statement.command);
      // `ENTRYPOINT []` takes the one of the base away.
      config.Entrypoint = words.length === 0 ? null : words;
      if (!state.hasCmd) config.Cmd = null;
      return true;
    }
    case 'onbuild':
      config.OnBuild.push(statement.expression);
      return true;
    case 'maintainer':
      return true;
    default:
      return false;
  }
}

export function wordsOf(state: StageState, { words, isShell }: CommandLine): string[] {
  return isShell ? state.withShell(words.join(' ')) : words;
}

function applyEnv(state: StageState, pairs: Pair[]): void {
  const { Env } = state.config;
  // All are filled in before any is set: `ENV a=1 b=$a` sees the a from before.
  for (const { name, value } of fillPairs(state, pairs)) {
    state.setVariable(name, value);
    const index = Env.findIndex((pair) => nameOf(pair) === name);
    Env.splice(index < 0 ? Env.length : index, 1, `${name}=${value}`);
  }
}

function applyArgs(state: StageState, { args }: ArgStatement): void {
  const { options, globalArgs } = state.plan;
  for (const { name, value: written } of args) {
    const given = options.buildArgs.get(name);
    const value = given ?? fillOrNull(state, written) ?? globalArgs.get(name) ?? null;
    if (value !== null && !NEVER_VARIABLES.includes(name)) state.setVariable(name, value);
  }
}

function fillOrNull(state: StageState, word: string | null): string | null {
  return word === null ? null : state.fill(word);
}

function applyExpose(state: StageState, words: string[]): void {
  const ports = new Set(state.config.ExposedPorts);
  for (const word of words)
    for (const filled of state.fillWords(word)) for (const port of parsePorts(filled)) ports.add(port);
  if (ports.size > limits.ports) throw new Problem(`EXPOSE: there are more than ${limits.ports} ports`);
  state.config.ExposedPorts = [...ports];
}

function addVolume(state: StageState, written: string): void {
  const path = checkPath(state.fill(written));
  if (path === '') throw new Problem(`VOLUME ${written} is empty: a folder was expected`);
  if (!state.config.Volumes.includes(path)) state.config.Volumes.push(path);
}

function fillPairs(state: StageState, pairs: Pair[]): Pair[] {
  return pairs.map(({ name, value }) => ({ name: state.fill(name), value: state.fill(value) }));
}

/** `__proto__` is a name like any other. */
function setOwn(labels: Record<string, string>, name: string, value: string): void {
  Object.defineProperty(labels, name, { value, enumerable: true, writable: true, configurable: true });
}
