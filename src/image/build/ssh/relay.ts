// One connection of a step's program to its SSH agent. What is not passed on is answered here; for the rest the user's
// agent is asked, over a connection that is opened for the first such request and ends with this one.

import { addAbortSignal, type Readable, type Writable } from 'node:stream';
import { FAILURE, isPassedOn, signedWith } from './judge-request.ts';
import { frame, messagesOf } from './messages.ts';
import { SshAgent } from './ssh-agent.ts';

/** A person may have to say yes. */
const ANSWER_TIMEOUT_MS = 120_000;

export interface Relayed {
  from: Readable;
  to: Writable;
  /** Of the user's agent. */
  path: string;
  signal: AbortSignal;
  answerTimeoutMs?: number;
  /** Called with a key's fingerprint each time that it has signed. */
  onSigned: (fingerprint: string) => void;
}

/** Resolves when the program has ended its side; throws when its bytes are no messages, or the user's agent fails. */
export async function relay(relayed: Relayed): Promise<void> {
  const { from, to, path, signal, onSigned, answerTimeoutMs = ANSWER_TIMEOUT_MS } = relayed;
  for (const stream of [from, to]) stream.on('error', () => {});
  addAbortSignal(signal, from);
  const requests = messagesOf(from as AsyncIterable<Buffer>);
  let agent: SshAgent | undefined;
  try {
    for (let next = requests.next(); ; ) {
      const { value: request, done } = await next;
      if (done) return;
      // Read one ahead: so a program that goes while a person is being asked is seen to go.
      next = requests.next();
      const answered = async () => {
        let answer = FAILURE;
        if (isPassedOn(request)) {
          agent ??= new SshAgent(path, signal);
          answer = await agent.ask(request, answerTimeoutMs);
        }
        const fingerprint = signedWith(request, answer);
        if (fingerprint !== null) onSigned(fingerprint);
        await write(to, frame(answer));
      };
      await Promise.race([answered(), isOver(next)]);
    }
  } finally {
    agent?.close();
    from.destroy();
    to.destroy();
  }
}

/** Settles when there is no next one. */
async function isOver(next: Promise<IteratorResult<unknown>>): Promise<void> {
  const { done } = await next;
  if (!done) await new Promise(() => {});
}

async function write(to: Writable, bytes: Buffer): Promise<void> {
  await new Promise<void>((resolve, reject) =>
    to.write(bytes, (error) => (error ? reject(error) : resolve())),
  );
}
