// What a fuzz target is. Its `run` gets hostile bytes and throws when something is wrong: an error that is not an
// answer, an answer that breaks a promise.

export interface Target {
  /** What bytes are bred from. */
  seeds: readonly (string | Buffer)[];
  /**
   * May tell what kind of answer it was, in a word or two. The first bytes that get a new kind are bred from for ever:
   * so a fuzzer that knows nothing of the code finds its corners.
   */
  run(bytes: Buffer): Ran | Promise<Ran>;
}

export type Ran = string | void;

/** What a refusal says, without what it quotes and counts. */
export function kindOfRefusal({ message }: Error): string {
  return message
    .replaceAll(/"(?:[^"\\]|\\.)*"?/gs, '"…"')
    .replaceAll(/\d+/g, 'N')
    .replace(/^.*?N:N: /s, '')
    .slice(0, 70);
}
