// Questions of doors on this terminal. The person sees the ASCII name, what of it somebody registered, and a warning
// where letters imitate others; nothing is chosen for them. A request that is denied meanwhile is told.

import { answerQuestion, watchQuestions } from '../client/policy.ts';
import type { Transport } from '../client/transport.ts';
import type { Answer, AskView } from '../protocol/policy.ts';
import { sanitizeLine } from '../protocol/sanitize.ts';
import { wrapWords } from './wrap-words.ts';

export const ANSWER_KEYS: Readonly<Record<string, Answer>> = {
  o: 'once',
  s: 'sandbox',
  p: 'project',
  n: 'no',
  v: 'never',
};

export const ANSWERS_LINE = 'o once, s this sandbox, p this project, n no, v never';
/** What may be said of a request that is over: as rules, for the next one. */
export const LATE_KEYS = 'spv';
/** So long: whoever was about to press a key has. */
export const LATE_MS = 10_000;

/** Nobody reads a question sooner: a key that comes before was meant for the one that stood there. */
export const READ_MS = 400;

export function describeQuestion({ host, port, protocol, registrable, warning }: AskView): string[] {
  const name = sanitizeLine(host, 300);
  const owner = registrable !== null && registrable !== host ? `, of ${sanitizeLine(registrable)}` : '';
  return [
    `${name}:${port} (${sanitizeLine(protocol, 20)}${owner}) is asked for, and no rule allows it`,
    ...(warning === null ? [] : [`warning: ${sanitizeLine(warning, 300)}`]),
  ];
}

export function describeOver({ host, port }: AskView): string {
  return `nobody waits for ${sanitizeLine(host, 300)}:${port} any more: it was denied, or who asked has gone`;
}

/** `waited`: whether whoever asked got the answer. */
export function describeAnswer({ host, port }: AskView, answer: Answer, waited: boolean): string {
  const where = `${sanitizeLine(host, 300)}:${port}`;
  if (waited) return `${where}: ${answer}`;
  if (answer === 'once' || answer === 'no') return `too late: the request for ${where} was denied`;
  const from = answer === 'never' ? 'denied for good' : `allowed, for this ${answer}`;
  return `too late for this request; from now on ${where} is ${from}`;
}

/** While a shell has the terminal: a question is one line, its answer Ctrl-P and a key. */
export class ShellQuestions {
  readonly #transport: Transport;
  readonly #name: string;
  readonly #leave = new AbortController();
  #pending: AskView[] = [];
  /** One at a time, so that a key cannot answer another than was read. */
  #shown: { question: AskView | null; atMs: number } = { question: null, atMs: 0 };
  #late: { question: AskView; untilMs: number } | null = null;
  #answered = 0;

  constructor(transport: Transport, name: string) {
    this.#transport = transport;
    this.#name = name;
    watchQuestions(transport, name, (pending) => this.#show(pending), this.#leave.signal).catch(() => {});
  }

  /** Whether the key behind Ctrl-P was an answer. */
  key(byte: number): boolean {
    const pressed = String.fromCharCode(byte).toLowerCase();
    const answer = ANSWER_KEYS[pressed];
    if (!answer) return false;
    const [first, ...rest] = this.#pending;
    if (!first) return this.#lateKey(pressed, answer);
    if (performance.now() - this.#shown.atMs < READ_MS) {
      this.#say('that was too soon: read it first');
      return true;
    }
    this.#answer(first, answer);
    this.#show(rest);
    return true;
  }

  close(): void {
    this.#leave.abort();
  }

  #lateKey(key: string, answer: Answer): boolean {
    const late = this.#late;
    if (late === null || performance.now() > late.untilMs || !LATE_KEYS.includes(key)) return false;
    this.#late = null;
    this.#answer(late.question, answer);
    return true;
  }

  #answer(question: AskView, answer: Answer): void {
    this.#answered = Math.max(this.#answered, question.id);
    answerQuestion(this.#transport, this.#name, question.id, answer).then(
      (waited) => this.#say(describeAnswer(question, answer, waited)),
      (error: Error) => this.#say(error.message),
    );
  }

  #show(pending: AskView[]): void {
    const { question: before } = this.#shown;
    if (before !== null && before.id > this.#answered && !pending.some(({ id }) => id === before.id)) {
      this.#shown = { question: null, atMs: 0 };
      this.#late = { question: before, untilMs: performance.now() + LATE_MS };
      this.#say(`${describeOver(before)}; for ${LATE_MS / 1000} s, Ctrl-P and s, p or v still make a rule`);
    }
    // What was answered is in the list until the daemon has heard it.
    this.#pending = pending.filter(({ id }) => id > this.#answered);
    const [first] = this.#pending;
    if (!first || first.id === this.#shown.question?.id) return;
    this.#shown = { question: first, atMs: performance.now() };
    this.#late = null;
    for (const line of describeQuestion(first)) this.#say(line);
    this.#say(`Ctrl-P, then: ${ANSWERS_LINE}`);
  }

  #say(text: string): void {
    const lines = wrapWords(`[warren] ${sanitizeLine(text, 500)}`, process.stderr.columns);
    process.stderr.write(`\r\n${lines.join('\r\n')}\r\n`);
  }
}
