// The limits of connections to ports of sandboxes.

export interface ForwardLimits {
  /** Of one sandbox, forwards and stable names together. */
  connections: number;
  /** Of the listener of stable names, on each of its two addresses. */
  clients: number;
  /** Of one sandbox. */
  forwards: number;
  /** Of a request's head and of an answer's. */
  headerBytes: number;
  /** Of one answer's body that wait for the client: each takes hundreds of bytes besides its own. */
  answerPieces: number;
  /** Requests under way on one connection of a client. */
  pipelined: number;
  /** For the head of a request. */
  headMs: number;
  keepAliveMs: number;
  /** Until the guest's server has accepted. */
  openMs: number;
}

export const FORWARD_LIMITS: ForwardLimits = {
  connections: 128,
  clients: 512,
  forwards: 32,
  headerBytes: 64 * 1024,
  answerPieces: 40_000,
  pipelined: 16,
  headMs: 10_000,
  keepAliveMs: 75_000,
  openMs: 10_000,
};
