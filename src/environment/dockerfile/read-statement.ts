// An instruction → what it means, or a `Problem`: how many arguments, which flags.

import { Flags } from './flags.ts';
import type { Instruction } from './instruction.ts';
import { OTHER_BUILDER, Problem, quote } from './problem.ts';
import { readCopy } from './read-copy-statement.ts';
import { readHealthcheck } from './read-healthcheck.ts';
import { KEYWORDS } from './read-line.ts';
import { mountFrom } from './read-mount.ts';
import type { ArgStatement, CommandLine, FromStatement, Pair, RunStatement, Statement } from './statement.ts';
import { trim } from './whitespace.ts';

const STAGE_NAME = /^[a-z][a-z0-9_.-]*$/;
const NETWORKS = ['default', 'none', 'host'] as const;

export function readStatement(at: Instruction): Statement | FromStatement {
  const keyword = at.keyword.toUpperCase();
  switch (keyword) {
    case 'FROM':
      return readFrom(at);
    case 'ARG':
      return readArg(at);
    case 'RUN':
      return readRun(at);
    case 'ADD':
    case 'COPY':
      return readCopy(at);
    case 'HEALTHCHECK':
      return { kind: 'healthcheck', at, healthcheck: readHealthcheck(at) };
    case 'ONBUILD':
      return readOnbuild(at);
    case 'CMD':
    case 'ENTRYPOINT':
      new Flags(at, {});
      return { kind: keyword === 'CMD' ? 'cmd' : 'entrypoint', at, command: commandOf(at) };
    case 'STOPSIGNAL':
      // The only one whose flags nobody looks at.
      return { kind: 'stopsignal', at, signal: only(at, keyword) };
  }
  new Flags(at, {});
  switch (keyword) {
    case 'ENV':
      return { kind: 'env', at, pairs: pairsOf(at, keyword) };
    case 'LABEL':
      return { kind: 'label', at, pairs: pairsOf(at, keyword) };
    case 'MAINTAINER':
      return { kind: 'maintainer', at, name: only(at, keyword) };
    case 'WORKDIR':
      return { kind: 'workdir', at, path: only(at, keyword) };
    case 'USER':
      return { kind: 'user', at, user: only(at, keyword) };
    case 'VOLUME':
      return { kind: 'volume', at, paths: some(at, keyword).map(volume) };
    case 'EXPOSE':
      return { kind: 'expose', at, ports: some(at, keyword).toSorted() };
    case 'SHELL':
      if (!at.isJson && at.args.length > 0)
        throw new Problem('SHELL is not in JSON: SHELL ["PROGRAM", "ARGUMENT"] was expected');
      return { kind: 'shell', at, shell: some(at, keyword) };
  }
  throw new Problem(`unknown instruction ${quote(at.keyword)}`, { found: at.keyword, expected: KEYWORDS });
}

function readFrom(at: Instruction): FromStatement {
  const flags = new Flags(at, { platform: 'text' });
  const [base, as, name] = at.args;
  const hasName = at.args.length === 3 && as!.toLowerCase() === 'as';
  if (base === undefined || (at.args.length !== 1 && !hasName))
    throw new Problem(`FROM has ${quote(at.args.join(' '))}: FROM IMAGE or FROM IMAGE AS NAME was expected`);
  const lower = hasName ? name!.toLowerCase() : null;
  if (lower !== null && !STAGE_NAME.test(lower))
    throw new Problem(
      `${quote(name!)} cannot name a stage: a letter, then letters, digits, "-", "_" and "." were expected`,
      { at: name! },
    );
  return { kind: 'from', at, base, name: lower, platform: flags.text('platform') || null };
}

function readArg(at: Instruction): ArgStatement {
  const args = some(at, 'ARG').map((word) => {
    const equals = word.indexOf('=');
    if (equals === 0)
      throw new Problem('ARG has a value without a name: name=value was expected', { at: word });
    return equals < 0
      ? { name: word, value: null }
      : { name: word.slice(0, equals), value: word.slice(equals + 1) };
  });
  return { kind: 'arg', at, args };
}

function readRun(at: Instruction): RunStatement {
  const flags = new Flags(at, { mount: 'texts', network: 'text' });
  const wanted = flags.text('network') || 'default';
  const network = NETWORKS.find((name) => name === wanted);
  if (network === undefined)
    throw new Problem(`RUN --network has ${quote(wanted)}`, {
      at: wanted,
      found: wanted,
      expected: NETWORKS,
      remedy: 'say --network=default or --network=none',
    });
  if (network === 'host')
    throw new Problem('RUN --network=host is not supported: a build runs in a machine of its own', {
      at: '--network=host',
      remedy: OTHER_BUILDER,
    });
  const mounts = flags.texts('mount');
  for (const mount of mounts) mountFrom(mount);
  return { kind: 'run', at, command: commandOf(at), mounts, network };
}

function readOnbuild(at: Instruction): Statement {
  const { trigger } = at;
  if (trigger === null) throw new Problem('ONBUILD has no instruction: one was expected');
  new Flags(at, {});
  const keyword = trigger.keyword.toUpperCase();
  if (['FROM', 'MAINTAINER', 'ONBUILD'].includes(keyword))
    throw new Problem(`ONBUILD cannot trigger ${keyword}: another instruction was expected`, {
      at: trigger.keyword,
    });
  // As an image's configuration has it: the next build reads it as a Dockerfile of one instruction.
  const heredocs = at.heredocs.map(({ name, content }) => `\n${content}${name}`);
  return { kind: 'onbuild', at, expression: at.original.replace(/^\s*ONBUILD\s*/i, '') + heredocs.join('') };
}

export function commandOf({ args, isJson }: Instruction): CommandLine {
  return { words: isJson || args.length === 0 ? args : [args.join(' ')], isShell: !isJson };
}

function pairsOf(at: Instruction, keyword: string): Pair[] {
  const words = some(at, keyword);
  return Array.from({ length: words.length / 3 }, (_, index) => {
    const [name, value] = [words[3 * index]!, words[3 * index + 1]!];
    if (name === '')
      throw new Problem(`${keyword} has a value without a name: name=value was expected`, {
        at: `=${value}`,
      });
    return { name, value };
  });
}

function volume(path: string): string {
  const trimmed = trim(path);
  if (trimmed === '') throw new Problem('VOLUME has an empty path: a folder was expected');
  return trimmed;
}

function some({ args }: Instruction, keyword: string): string[] {
  if (args.length === 0) throw new Problem(`${keyword} has no argument: at least one was expected`);
  return args;
}

function only({ args }: Instruction, keyword: string): string {
  if (args.length !== 1) throw new Problem(`${keyword} has ${args.length} arguments: one was expected`);
  return args[0]!;
}
