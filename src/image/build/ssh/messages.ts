// The frames of the SSH agent protocol (draft-ietf-sshm-ssh-agent): a length in four bytes, a type in one, and its
// contents. Pure. Those of a step are hostile: what is no frame ends its connection.

export const MESSAGE_MAX_BYTES = 256 * 1024;

/** Type and contents, without the length. */
export type Message = Buffer;

/** What `push` throws. */
export class NoMessage extends Error {}

/** Holds one message at most, and what came with its end. */
export class MessageReader {
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Of the message that is coming; null: not known yet. */
  #length: number | null = null;

  /** The messages that these bytes complete. */
  *push(chunk: Buffer): Generator<Message> {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    for (;;) {
      if (this.#bytes < 4) return;
      this.#length ??= lengthOf(this.#all());
      const end = 4 + this.#length;
      if (this.#bytes < end) return;
      const all = this.#all();
      this.#chunks = [all.subarray(end)];
      this.#bytes -= end;
      this.#length = null;
      yield all.subarray(4, end);
    }
  }

  #all(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0]!;
  }
}

function lengthOf(all: Buffer): number {
  const length = all.readUInt32BE(0);
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
