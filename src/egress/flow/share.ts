// What one flow may hold in memory and for how long, by how many there are: a few may be fast, many must fit into the
// door's 150 MiB together. Pure.

const FEW = 8;
const MANY = 32;

/** Of what waits in one direction of one connection. */
export function bufferBytes(flows: number): number {
  if (flows <= FEW) return 256 * 1024;
  return flows <= MANY ? 64 * 1024 : 16 * 1024;
}

/** A connection to an origin that nobody uses: its TLS holds up to 128 KiB. */
export function idleOriginMs(flows: number): number {
  return flows <= MANY ? 60_000 : 2_000;
}
