// A logical line → an instruction. What an unknown keyword's arguments mean nobody knows: it is told of later, when
// instructions become statements.

import type { Instruction, Segment } from './instruction.ts';
import { namesAndValues, parseJsonWords, plainWords, quotedWords, splitLine } from './line-words.ts';
import { Problem } from './problem.ts';
import { indexOfSpace, trimLeft } from './whitespace.ts';

/** What a keyword's arguments look like. */
type Form = 'words' | 'json-or-words' | 'json-or-line' | 'line' | 'pairs' | 'names' | 'health' | 'trigger';

const FORMS: Record<string, Form> = {
  ADD: 'json-or-words',
  ARG: 'names',
  CMD: 'json-or-line',
  COPY: 'json-or-words',
  ENTRYPOINT: 'json-or-line',
  ENV: 'pairs',
  EXPOSE: 'words',
  FROM: 'words',
  HEALTHCHECK: 'health',
  LABEL: 'pairs',
  MAINTAINER: 'line',
  ONBUILD: 'trigger',
  RUN: 'json-or-line',
  SHELL: 'json-or-line',
  STOPSIGNAL: 'line',
  USER: 'line',
  VOLUME: 'json-or-words',
  WORKDIR: 'line',
};

export const KEYWORDS = Object.keys(FORMS);
const WITH_HEREDOCS = ['ADD', 'COPY', 'RUN'];

/** Throws a `Problem`. */
export function readLine(
  original: string,
  escapeToken: string,
  place: { segments: Segment[]; endLine: number },
  isTrigger = false,
): Instruction {
  const { keyword, flags, rest } = splitLine(original, escapeToken);
  const upper = keyword.toUpperCase();
  if (isTrigger && upper === 'ONBUILD')
    throw new Problem('ONBUILD cannot trigger ONBUILD: another instruction was expected');
  const form = Object.hasOwn(FORMS, upper) ? FORMS[upper]! : 'line';
  const isTriggering = form === 'trigger' && rest !== '';
  const { args, isJson } = argumentsOf(form, rest, escapeToken, upper);
  return {
    keyword,
    position: place.segments[0]!.position,
    endLine: place.endLine,
    flags,
    args,
    isJson,
    heredocs: [],
    original,
    trigger: isTriggering ? readLine(rest, escapeToken, place, true) : null,
    segments: place.segments,
  };
}

export function mayHaveHeredocs({ keyword, isJson, trigger }: Instruction): boolean {
  const [name, json] =
    keyword.toUpperCase() === 'ONBUILD' && trigger !== null
      ? [trigger.keyword, trigger.isJson]
      : [keyword, isJson];
  return WITH_HEREDOCS.includes(name.toUpperCase()) && !json;
}

function argumentsOf(
  form: Form,
  rest: string,
  escapeToken: string,
  keyword: string,
): { args: string[]; isJson: boolean } {
  switch (form) {
    case 'pairs':
      return { args: namesAndValues(rest, escapeToken, keyword), isJson: false };
    case 'names':
      return { args: quotedWords(rest, escapeToken), isJson: false };
    case 'words':
      return { args: plainWords(rest), isJson: false };
    case 'line':
      return { args: rest === '' ? [] : [rest], isJson: false };
    case 'trigger':
      return { args: [], isJson: false };
    case 'health': {
      const end = indexOfSpace(rest);
      if (end < 0) return { args: rest === '' ? [] : [rest], isJson: false };
      const { args, isJson } = argumentsOf('json-or-line', trimLeft(rest.slice(end)), escapeToken, keyword);
      return { args: [rest.slice(0, end), ...args], isJson };
    }
    default: {
      const words = parseJsonWords(rest);
      if (words !== null) return { args: words, isJson: true };
      return argumentsOf(form === 'json-or-words' ? 'words' : 'line', rest, escapeToken, keyword);
    }
  }
}
