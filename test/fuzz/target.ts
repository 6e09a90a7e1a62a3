// What a fuzz target is. Its `run` gets hostile bytes and throws when something is wrong: an error that is not an
// answer, an answer that breaks a promise.

export interface Target {
  /** What bytes are bred from. */
  seeds: readonly (string | Buffer)[];
  run(bytes: Buffer): void;
}
