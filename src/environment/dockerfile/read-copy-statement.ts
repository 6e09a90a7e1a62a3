// ADD's and COPY's arguments and flags.

import { Flags } from './flags.ts';
import { asHeredoc, chompContent, isHeredoc } from './heredoc.ts';
import type { Instruction } from './instruction.ts';
import { Problem } from './problem.ts';
import type { CopyStatement } from './statement.ts';

export function readCopy(at: Instruction): CopyStatement {
  const keyword = at.keyword.toUpperCase();
  const isAdd = keyword === 'ADD';
  if (at.args.length < 2)
    throw new Problem(
      `${keyword} has ${at.args.length === 0 ? 'no arguments' : 'one argument'}: SOURCE… DEST was expected`,
    );
  const flags = new Flags(at, {
    chown: 'text',
    chmod: 'text',
    link: 'boolean',
    exclude: 'texts',
    ...(isAdd ? { checksum: 'text', unpack: 'boolean' } : { from: 'text', parents: 'boolean' }),
  });
  const dest = at.args.at(-1)!;
  if (isHeredoc(dest))
    throw new Problem(`${keyword} has a here-document as its destination: a path was expected`, { at: dest });
  return { kind: isAdd ? 'add' : 'copy', at, dest, ...sourcesOf(at), ...valuesOf(flags) };
}

function sourcesOf({ args, heredocs }: Instruction): Pick<CopyStatement, 'sources' | 'inline'> {
  const contents = new Map(heredocs.map(({ name, content }) => [name, content]));
  const sources: string[] = [];
  const inline: CopyStatement['inline'] = [];
  for (const word of args.slice(0, -1)) {
    const heredoc = asHeredoc(word);
    if (heredoc === null) {
      sources.push(word);
      continue;
    }
    const content = contents.get(heredoc.name) ?? '';
    inline.push({
      name: heredoc.name,
      content: heredoc.chomp ? chompContent(content) : content,
      expand: heredoc.expand,
    });
  }
  return { sources, inline };
}

function valuesOf(flags: Flags): Omit<CopyStatement, 'kind' | 'at' | 'dest' | 'sources' | 'inline'> {
  return {
    from: flags.text('from') || null,
    chown: flags.text('chown'),
    chmod: flags.text('chmod'),
    link: flags.boolean('link') ?? false,
    parents: flags.boolean('parents') ?? false,
    excludes: flags.texts('exclude'),
    checksum: flags.text('checksum'),
    unpack: flags.boolean('unpack'),
  };
}
