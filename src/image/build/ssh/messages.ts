// The frames of the SSH agent protocol (draft-ietf-sshm-ssh-agent): a length in four bytes, a type in one, and its
// contents. Pure. Those of a step are hostile: what is no frame ends its connection.

export const MESSAGE_MAX_BYTES = 256 * 1024;

/** Type and contents, without the length. */
export type Message = Buffer;

/** What `push` throws. */
export class NoMessage extends Error {}

/** Holds one message at most, in memory of its own: pieces of a byte each would cost a hundred times what they say. */
export class MessageReader {
  readonly #head = Buffer.alloc(4);
  /** null: its length is not known yet. */
  #message: Buffer | null = null;
  /** Of the head, or of the message. */
  #bytes = 0;

  /** The messages that these bytes complete. */
  *push(chunk: Buffer): Generator<Message> {
    for (let at = 0; at < chunk.length; ) {
      const into = this.#message ?? this.#head;
      const copied = chunk.copy(into, this.#bytes, at);
      at += copied;
      this.#bytes += copied;
      if (this.#bytes < into.length) return;
      this.#bytes = 0;
      this.#message = this.#message ? null : Buffer.alloc(lengthOf(this.#head));
      if (into !== this.#head) yield into;
    }
  }
}

function lengthOf(head: Buffer): number {
  const length = head.readUInt32BE(0);
  if (length === 0 || length > MESSAGE_MAX_BYTES) throw new NoMessage(`a message of ${length} bytes`);
  return length;
}

export function frame(message: Message): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(message.length);
  return Buffer.concat([length, message]);
}

/** The messages of a stream until it ends; throws where it breaks off. */
export async function* messagesOf(from: AsyncIterable<Buffer>): AsyncGenerator<Message> {
  const reader = new MessageReader();
  for await (const chunk of from) yield* reader.push(chunk);
}
