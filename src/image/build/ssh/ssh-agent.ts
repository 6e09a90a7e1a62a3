// A connection to an SSH agent of the user's: one question, one answer.

import { connect, type Socket } from 'node:net';
import { frame, type Message, messagesOf } from './messages.ts';

/** It cannot be reached, or does not answer as it should; the message says so to people. */
export class SshAgentFailed extends Error {}

export class SshAgent {
  readonly #path: string;
  readonly #socket: Socket;
  readonly #answers: AsyncGenerator<Message>;

  constructor(path: string, signal: AbortSignal) {
    this.#path = path;
    this.#socket = connect({ path, signal });
    this.#socket.on('error', () => {});
    this.#answers = messagesOf(this.#socket);
  }

  /** Not before the one before it was answered. Throws `SshAgentFailed`. */
  async ask(request: Message, timeoutMs: number): Promise<Message> {
    const late = setTimeout(
      () => this.#socket.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    try {
      this.#socket.write(frame(request));
      const { value, done } = await this.#answers.next();
      if (done) throw new Error('it has closed the connection');
      return value;
    } catch (cause) {
      throw new SshAgentFailed(`the SSH agent at ${this.#path} fails: ${(cause as Error).message}`, {
        cause,
      });
    } finally {
      clearTimeout(late);
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}
