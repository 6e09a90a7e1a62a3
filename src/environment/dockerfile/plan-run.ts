// RUN → a step: argv, variables, mounts, and the here-documents folded in.

import { wordsOf } from './apply-settings.ts';
import { asHeredoc, chompContent } from './heredoc.ts';
import { cleanPath } from './paths.ts';
import { planMounts, secretVariables } from './plan-mounts.ts';
import { Problem, quote } from './problem.ts';
import type { StageState } from './stage-state.ts';
import type { RunStatement } from './statement.ts';
import type { RunStep } from './step.ts';
import { textOf } from './step-text.ts';
import { trim } from './whitespace.ts';

const PROXIES = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy', 'all_proxy'];
const SCRIPTS = '/dev/pipes';

/** Throws a `Problem`. */
export function planRun(state: StageState, statement: RunStatement): Omit<RunStep, 'cacheText'> {
  const { at, network } = statement;
  const mounts = planMounts(state, statement.mounts);
  const { line, script, summary } = foldHeredocs(statement);
  const argv = line === null ? wordsOf(state, statement.command) : state.withShell(line);
  if (argv.length === 0) throw new Problem('RUN has no command: one was expected');
  if (argv.some((word) => word.includes('\0'))) throw new Problem('RUN has a NUL in its command');
  const masked = new Map(state.env);
  for (const name of secretVariables(mounts)) masked.set(name, '****');
  return {
    kind: 'run',
    line: at.position.line,
    text: textOf(trim(at.original) + summary, (text) =>
      state.fill(text, { rawQuotes: true, rawEscapes: true, keepUnset: true }, masked),
    ),
    argv,
    env: [...state.env],
    proxyEnv: proxiesOf(state.plan.options.buildArgs),
    user: state.config.User,
    workdir: cleanPath(state.config.WorkingDir || '/'),
    mounts,
    network,
    script,
  };
}

/** `line` null: there are none. */
function foldHeredocs({ at, command }: RunStatement): {
  line: string | null;
  script: RunStep['script'];
  summary: string;
} {
  const [first] = at.heredocs;
  const line = command.words[0];
  if (first === undefined || line === undefined) return { line: null, script: null, summary: '' };
  if (asHeredoc(line) === null) {
    // More than a lone here-document: the shell gets it all as it was written.
    const documents = at.heredocs.map(({ name, content }) => `\n${content}${name}`);
    return { line: line + documents.join(''), script: null, summary: '' };
  }
  const content = first.chomp ? chompContent(first.content) : first.content;
  const summary = ` (${summarize(first.content)})`;
  if (!content.startsWith('#!')) return { line: content, script: null, summary };
  if (/[/\0]|^\.{0,2}$/.test(first.name))
    throw new Problem(
      `the here-document ${quote(first.name)} becomes a file of that name: one without "/" was expected`,
    );
  const path = `${SCRIPTS}/${first.name}`;
  return { line: path, script: { path, content }, summary };
}

function summarize(content: string): string {
  const lines = trim(content).replaceAll('\r\n', '\n').split('\n');
  return lines[0]! + (lines.length > 1 ? '...' : '');
}

/** In both spellings, as programs look for them in either. */
function proxiesOf(buildArgs: ReadonlyMap<string, string>): [string, string][] {
  const found = new Map<string, string>();
  for (const name of [...buildArgs.keys()].sort())
    if (PROXIES.includes(name.toLowerCase())) found.set(name.toLowerCase(), buildArgs.get(name)!);
  return [...found].flatMap(([name, value]): [string, string][] => [
    [name.toUpperCase(), value],
    [name, value],
  ]);
}
