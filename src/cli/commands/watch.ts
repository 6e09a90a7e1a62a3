// `warren policy watch`: as long as it runs, doors ask on this terminal about what no rule allows.

import * as calls from '../../client/policy.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { AskView } from '../../protocol/policy.ts';
import { Keys } from '../ask-key.ts';
import {
  ANSWER_KEYS,
  ANSWERS_LINE,
  describeAnswer,
  describeOver,
  describeQuestion,
  LATE_KEYS,
  LATE_MS,
  READ_MS,
} from '../asking.ts';
import { withClient } from '../context.ts';
import { dim, isTerminal, say } from '../terminal.ts';
import { wrapWords } from '../wrap-words.ts';

export async function watch(name: string): Promise<void> {
  if (!isTerminal())
    throw new WarrenError({
      code: 'usage.no-terminal',
      message: 'cannot ask anybody: this is not a terminal',
      remedy: `warren policy allow ${name} HOST; warren audit ${name} --denied tells what was denied`,
    });
  await withClient(async ({ transport }) => {
    const leave = new AbortController();
    process.once('SIGINT', () => leave.abort());
    const keys = new Keys(() => leave.abort());
    const waiting = new Map<number, AskView>();
    let wake = Promise.withResolvers<void>();
    /** Of the question that is shown; of the wait for a late answer to it. */
    let gone = new AbortController();
    let next = new AbortController();
    let shown: number | null = null;
    let answered = 0;
    const watching = calls
      .watchQuestions(
        transport,
        name,
        (pending) => {
          const ids = new Set(pending.map(({ id }) => id));
          for (const id of waiting.keys()) if (!ids.has(id)) waiting.delete(id);
          for (const question of pending) if (question.id > answered) waiting.set(question.id, question);
          // Others that come do not disturb whoever reads this one.
          if (shown === null || !ids.has(shown)) gone.abort();
          if (waiting.size > 0) next.abort();
          wake.resolve();
        },
        leave.signal,
      )
      .catch((error: unknown) => {
        if (!leave.signal.aborted) throw error;
      });
    tell(dim(`what sandbox "${name}" asks for is shown here; Ctrl-C ends`));
    const asking = (async () => {
      for (;;) {
        const question = waiting.values().next().value;
        if (!question) {
          wake = Promise.withResolvers();
          await wake.promise;
          continue;
        }
        gone = new AbortController();
        shown = question.id;
        for (const line of describeQuestion(question)) tell(line);
        const all = Object.keys(ANSWER_KEYS).join('');
        let key = await keys.ask(`  ${ANSWERS_LINE}:`, all, gone.signal, READ_MS);
        shown = null;
        if (key === null) {
          tell(describeOver(question));
          next = new AbortController();
          if (waiting.size > 0) continue;
          const over = AbortSignal.any([next.signal, AbortSignal.timeout(LATE_MS)]);
          key = await keys.ask('  s, p or v still make a rule:', LATE_KEYS, over);
          if (key === null) continue;
        }
        waiting.delete(question.id);
        answered = Math.max(answered, question.id);
        const answer = ANSWER_KEYS[key]!;
        try {
          const waited = await calls.answerQuestion(transport, name, question.id, answer);
          tell(dim(`  ${describeAnswer(question, answer, waited)}`));
        } catch (error) {
          tell(WarrenError.from(error).message);
        }
      }
    })();
    try {
      await Promise.race([watching, asking]);
    } finally {
      leave.abort();
      keys.close();
    }
  });
}

function tell(text: string): void {
  for (const line of wrapWords(text, process.stderr.columns)) say(line);
}
