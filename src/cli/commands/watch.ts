// `warren policy watch`: as long as it runs, doors ask on this terminal about what no rule allows.

import * as calls from '../../client/policy.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { AskView } from '../../protocol/policy.ts';
import { askKey } from '../ask-key.ts';
import { ANSWER_KEYS, describeQuestion, READ_MS } from '../asking.ts';
import { withClient } from '../context.ts';
import { dim, isTerminal, say } from '../terminal.ts';

export async function watch(name: string): Promise<void> {
  if (!isTerminal())
    throw new WarrenError({
      code: 'usage.no-terminal',
      message: 'cannot ask anybody: this is not a terminal',
      remedy: `warren policy allow ${name} HOST; warren audit ${name} --denied tells what was denied`,
    });
  await withClient(async ({ transport }) => {
    const leave = new AbortController();
    // While no question is shown, the terminal makes a signal of Ctrl-C.
    process.once('SIGINT', () => leave.abort());
    const waiting = new Map<number, AskView>();
    let wake = Promise.withResolvers<void>();
    let gone = new AbortController();
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
          wake.resolve();
        },
        leave.signal,
      )
      .catch((error: unknown) => {
        if (!leave.signal.aborted) throw error;
      });
    say(dim(`what sandbox "${name}" asks for is shown here; Ctrl-C ends`));
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
        for (const line of describeQuestion(question)) say(line);
        const keys = Object.keys(ANSWER_KEYS).join('');
        const key = await askKey(
          '  o once, s this sandbox, p this project, n no, v never: ',
          keys,
          gone.signal,
          READ_MS,
        );
        shown = null;
        if (key === null) {
          say(dim('  nobody waits for that any more'));
          continue;
        }
        waiting.delete(question.id);
        answered = question.id;
        const waited = await calls.answerQuestion(transport, name, question.id, ANSWER_KEYS[key]!);
        say(dim(waited ? `  ${ANSWER_KEYS[key]}` : '  that was too late'));
      }
    })();
    try {
      await Promise.race([watching, asking]);
    } catch (error) {
      if (WarrenError.from(error).code !== 'usage.cancelled') throw error;
    } finally {
      leave.abort();
    }
  });
}
