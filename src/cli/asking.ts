// Questions of doors on this terminal. The person sees the ASCII name, what of it somebody registered, and a warning
// where letters imitate others; nothing is chosen for them.

import { answerQuestion, watchQuestions } from '../client/policy.ts';
import type { Transport } from '../client/transport.ts';
import type { Answer, AskView } from '../protocol/policy.ts';
import { sanitizeLine } from '../protocol/sanitize.ts';

export const ANSWER_KEYS: Readonly<Record<string, Answer>> = {
  o: 'once',
  s: 'sandbox',
  p: 'project',
  n: 'no',
  v: 'never',
};

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

/** While a shell has the terminal: a question is one line, its answer Ctrl-P and a key. */
export class ShellQuestions {
  readonly #transport: Transport;
  readonly #name: string;
  readonly #leave = new AbortController();
  #pending: AskView[] = [];
  /** One at a time, so that a key cannot answer another than was read. */
  #shown = { id: 0, atMs: 0 };
  #answered = 0;

  constructor(transport: Transport, name: string) {
    this.#transport = transport;
    this.#name = name;
    watchQuestions(transport, name, (pending) => this.#show(pending), this.#leave.signal).catch(() => {});
  }

  /** Whether the key behind Ctrl-P was an answer. */
  key(byte: number): boolean {
    const [first, ...rest] = this.#pending;
    const answer = ANSWER_KEYS[String.fromCharCode(byte).toLowerCase()];
    if (!first || !answer) return false;
    if (performance.now() - this.#shown.atMs < READ_MS) {
      this.#say('that was too soon: read it first');
      return true;
    }
    this.#answered = first.id;
    answerQuestion(this.#transport, this.#name, first.id, answer).then(
      (waited) => this.#say(waited ? `${sanitizeLine(first.host, 300)}: ${answer}` : 'that was too late'),
      (error: Error) => this.#say(error.message),
    );
    this.#show(rest);
    return true;
  }

  close(): void {
    this.#leave.abort();
  }

  #show(pending: AskView[]): void {
    // What was answered is in the list until the daemon has heard it.
    this.#pending = pending.filter(({ id }) => id > this.#answered);
    const [first] = this.#pending;
    if (!first || first.id === this.#shown.id) return;
    this.#shown = { id: first.id, atMs: performance.now() };
    for (const line of describeQuestion(first)) this.#say(line);
    this.#say('Ctrl-P, then: o once, s this sandbox, p this project, n no, v never');
  }

  #say(text: string): void {
    process.stderr.write(`\r\n[warren] ${sanitizeLine(text, 500)}\r\n`);
  }
}
