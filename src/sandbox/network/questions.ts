// Questions of doors to a person: at most 3 wait and 10 a minute are asked per sandbox; the same question is asked
// once. Nobody there to answer, or too many: no. The last 8 that are over are known, for an answer that comes late.

import type { FromDoor } from '../../egress/door/messages.ts';
import { inBrackets } from '../../egress/names/address.ts';
import { canonicalHost } from '../../egress/names/canonical-host.ts';
import { describeHost } from '../../egress/names/describe-host.ts';
import type { Said } from '../../egress/policy/verdict.ts';
import type { AskView } from '../../protocol/policy.ts';

const MAX_PENDING = 3;
const MAX_PER_MINUTE = 10;
const MAX_OVER = 8;

type Asked = Omit<Extract<FromDoor, { type: 'ask' }>, 'type'>;

interface Pending {
  view: AskView;
  /** By the door's number, whom to tell. */
  answers: Map<number, (said: Said) => void>;
}

export class Questions {
  readonly #pending = new Map<string, Pending>();
  readonly #watchers = new Set<(pending: AskView[]) => void>();
  readonly #nowMs: () => number;
  readonly #ended = Promise.withResolvers<void>();
  #over: AskView[] = [];
  #askedMs: number[] = [];
  #nr = 0;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Resolves when its sandbox has gone for good. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  end(): void {
    this.dropAll();
    this.#ended.resolve();
  }

  get watched(): boolean {
    return this.#watchers.size > 0;
  }

  list(): AskView[] {
    return [...this.#pending.values()].map(({ view }) => view);
  }

  /** Calls back with each change, until the answer is called. */
  watch(onChange: (pending: AskView[]) => void): () => void {
    this.#watchers.add(onChange);
    onChange(this.list());
    return () => {
      this.#watchers.delete(onChange);
      if (!this.watched) this.dropAll();
    };
  }

  hear(message: Exclude<FromDoor, { type: 'ready' }>, answer: (said: Said) => void): void {
    if (message.type === 'ask') this.ask(message, answer);
    else this.#unask(message.id);
  }

  ask({ id, host, port, protocol, reason }: Asked, answer: (said: Said) => void): void {
    const key = `${host} ${port} ${protocol}`;
    const same = this.#pending.get(key);
    if (same) {
      same.answers.set(id, answer);
      return;
    }
    const nowMs = this.#nowMs();
    this.#askedMs = this.#askedMs.filter((ms) => nowMs - ms < 60_000);
    const isCrowded = this.#pending.size >= MAX_PENDING || this.#askedMs.length >= MAX_PER_MINUTE;
    if (!this.watched || isCrowded) {
      answer(this.watched ? 'crowded' : 'nobody');
      return;
    }
    this.#askedMs.push(nowMs);
    const view: AskView = { id: ++this.#nr, host, port, protocol, reason, ...described(host) };
    this.#pending.set(key, { view, answers: new Map([[id, answer]]) });
    this.#tell();
  }

  /** Also one that is over. */
  find(id: number): AskView | undefined {
    return [...this.list(), ...this.#over].find((view) => view.id === id);
  }

  /** Only `true` is a yes. Answers false when that question does not wait any more. */
  answer(id: number, said: Said): boolean {
    for (const [key, { view, answers }] of this.#pending) {
      if (view.id !== id) continue;
      this.#pending.delete(key);
      for (const answer of answers.values()) answer(said);
      this.#tell();
      return true;
    }
    return false;
  }

  /** All of them are answered with no. */
  dropAll(): void {
    const views = this.list();
    this.#keep(views);
    for (const { id } of views) this.answer(id, 'nobody');
  }

  #unask(id: number): void {
    for (const [key, { view, answers }] of this.#pending) {
      if (!answers.delete(id) || answers.size > 0) continue;
      this.#pending.delete(key);
      this.#keep([view]);
      this.#tell();
    }
  }

  #keep(over: AskView[]): void {
    this.#over = [...this.#over, ...over].slice(-MAX_OVER);
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher(this.list());
  }
}

function described(text: string): Pick<AskView, 'registrable' | 'warning'> {
  const host = canonicalHost(inBrackets(text));
  if ('refused' in host) return { registrable: null, warning: 'it is no name of a host' };
  const { registrable, warning } = describeHost(host);
  return { registrable, warning };
}
