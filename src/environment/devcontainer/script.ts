// Lifecycle commands → text for `/bin/sh -c`. A text is a line for a shell, a list is a program with its words, an object
// is several at the same time. Pure; whatever they hold, it stays inside its quotes.

import type { Definition } from './definition.ts';
import type { Command } from './schema.ts';

/**
 * Ends with the first command that fails, with its code. `nonce`: a word that nothing prints by chance, by which a
 * program's end is told from what it says.
 */
export function commandsScript(commands: readonly Command[], nonce: string): string {
  return commands.map((command) => `${commandScript(command, nonce)} || exit $?`).join('\n');
}

function commandScript(command: Command, nonce: string): string {
  if (typeof command === 'string' || Array.isArray(command)) return one(command);
  const named = Object.entries(command);
  if (named.length === 0) return ':';
  const begun = named.map(([name, each], at) => `${labelled(name, one(each), nonce)} &\nwarren_${at}=$!`);
  const ended = named.map(
    ([name], at) =>
      `wait "$warren_${at}" || { warren_failed=$?; echo ${quoteWord(`${name}: failed with `)}"$warren_failed"; }`,
  );
  return `{ warren_failed=0\n${begun.join('\n')}\n${ended.join('\n')}\n(exit "$warren_failed"); }`;
}

/** `exec`, because what a list names is a program, also where the shell has something of its own by that name. */
function one(command: string | string[]): string {
  return typeof command === 'string'
    ? `/bin/sh -c ${quoteWord(command)}`
    : `(exec ${command.map(quoteWord).join(' ')})`;
}

/**
 * Its lines begin with its name, and it ends as the program does: a pipe's end is that of its last part. What the program
 * left running may go on writing: somebody has to read that, or it dies of it, and nobody has to wait for it.
 */
function labelled(name: string, program: string, nonce: string): string {
  const end = quoteWord(`${nonce} `);
  const print = `printf '[%s] %s\\n' ${quoteWord(name)} "$warren_line"`;
  return [
    `{ { ${program}; } 2>&1; echo ${end}$?; } | {`,
    'exec 3<&0',
    'while IFS= read -r warren_line || [ -n "$warren_line" ]; do',
    `case $warren_line in *${end}*)`,
    `warren_code=\${warren_line##*${end}}; warren_line=\${warren_line%${end}*}`,
    `[ -z "$warren_line" ] || ${print}`,
    'cat <&3 >/dev/null 2>&1 &',
    'exit "$warren_code";; esac',
    print,
    'done; exit 1; }',
  ].join('\n');
}

/**
 * The script with the variables that the user's shell sets when it starts, and with `remoteEnv` over them: that shell
 * starts, and becomes the script. Where its start-up files end it, or turn it into something else, or where it is not told
 * `-c` in the usual way, the script runs without what they set.
 */
export function withUserEnvironment(
  script: string,
  { userEnvProbe, remoteEnv }: Pick<Definition, 'userEnvProbe' | 'remoteEnv'>,
): string {
  const variables = Object.entries(remoteEnv)
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    .map(([name, value]) => (value === null ? `unset ${name}` : `export ${name}=${quoteWord(value)}`));
  const inner = [...variables, script].join('\n');
  const flags = { none: '', loginShell: '-l', interactiveShell: '-i', loginInteractiveShell: '-l -i' }[
    userEnvProbe
  ];
  if (flags === '') return inner;
  // Once it has said that it began it must not run a second time.
  const begins = `echo begun >"$1" || exit\ncd "$2" || exit\nshift 2\n${inner}`;
  return [
    `warren_script=${quoteWord(begins)}`,
    'case ${SHELL##*/} in bash|zsh|sh|dash|ash|ksh) warren_shell=$SHELL;; *) warren_shell=/bin/sh;; esac',
    'warren_begun=$(mktemp 2>/dev/null) || warren_begun=',
    // Without a terminal an interactive shell complains; what its start-up says is nobody's concern.
    'exec 3>&1 4>&2',
    `[ -z "$warren_begun" ] || "$warren_shell" ${flags} -c 'exec /bin/sh -c "$1" warren "$2" "$3" >&3 2>&4 3>&- 4>&-' warren "$warren_script" "$warren_begun" "$PWD" >/dev/null 2>&1 </dev/null`,
    'warren_code=$?',
    'exec 3>&- 4>&-',
    'if [ -n "$warren_begun" ] && [ -s "$warren_begun" ]; then rm -f "$warren_begun"; exit "$warren_code"; fi',
    '[ -z "$warren_begun" ] || rm -f "$warren_begun"',
    'echo "the start-up files of $warren_shell end it: what they set is not there" >&2',
    `exec /bin/sh -c "$warren_script" warren /dev/null "$PWD"`,
  ].join('\n');
}

/** A word for `/bin/sh` that means itself. */
export function quoteWord(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** For people, in one line. */
export function commandText(command: Command): string {
  if (typeof command === 'string') return command;
  if (Array.isArray(command)) return command.join(' ');
  return Object.entries(command)
    .map(([name, each]) => `${name}: ${commandText(each)}`)
    .join(' & ');
}
