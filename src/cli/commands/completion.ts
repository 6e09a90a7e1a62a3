// Completion for bash and zsh: the shell asks `warren __complete WORDS…`, which answers from the same table that
// parses commands, and from the daemon's list where a sandbox's name belongs.

import type { Command } from 'commander';
import { WarrenError } from '../../protocol/error.ts';
import { openClient } from '../context.ts';
import { print } from '../terminal.ts';

const BASH = `_warren() {
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  COMPREPLY=()
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(warren __complete -- "\${words[@]}" 2>/dev/null)
  if [ "\${#COMPREPLY[@]}" -eq 0 ]; then compopt -o default; fi
}
complete -F _warren warren`;

const ZSH = `#compdef warren
_warren() {
  local -a answers
  answers=(\${(f)"$(warren __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  if (( \${#answers} )); then compadd -a answers; else _files; fi
}
compdef _warren warren`;

export async function completion(shell: string, _program: Command): Promise<void> {
  if (shell === 'bash') print(BASH);
  else if (shell === 'zsh') print(ZSH);
  else
    throw new WarrenError({
      code: 'usage.shell',
      message: `cannot complete for ${JSON.stringify(shell)}: bash and zsh are known`,
      remedy: 'source <(warren completion bash)',
    });
}

export async function complete(words: string[], program: Command): Promise<void> {
  const typed = words.at(-1) ?? '';
  let command = program;
  let given = 0;
  for (const word of words.slice(0, -1)) {
    const sub = command.commands.find((candidate) => candidate.name() === word);
    if (sub) command = sub;
    else if (!word.startsWith('-')) given++;
  }
  const answers = await answersFor(command, given, typed);
  for (const answer of answers) if (answer.startsWith(typed)) print(answer);
}

async function answersFor(command: Command, given: number, typed: string): Promise<string[]> {
  if (typed.startsWith('-')) return command.options.flatMap(({ long }) => (long ? [long] : []));
  if (command.commands.length > 0)
    return command.commands.map((sub) => sub.name()).filter((name) => !name.startsWith('__'));
  const argument = command.registeredArguments[Math.min(given, command.registeredArguments.length - 1)];
  if (argument && ['name', 'names'].includes(argument.name())) return await sandboxNames();
  if (argument?.name() === 'shell') return ['bash', 'zsh'];
  return [];
}

/** Only from a daemon that is there: completing starts nothing. */
async function sandboxNames(): Promise<string[]> {
  const client = openClient();
  try {
    return (await client.transport.running()) ? (await client.list()).map(({ name }) => name) : [];
  } catch {
    return [];
  } finally {
    client.close();
  }
}
