// What one flow may hold in memory and for how long, by how many there are: a few may be fast, many must fit into the
// door's 150 MiB together. Pure.

const FEW = 8;
const MANY = 16;

/** Then the origins of those that come are read in small pieces. */
export function areMany(flows: number): boolean {
  return flows > MANY;
}

/** Of what waits in one direction of one connection. */
export function bufferBytes(flows: number): number {
  if (flows <= FEW) return 256 * 1024;
  return flows <= MANY ? 64 * 1024 : 16 * 1024;
}

/** For streams that have no say of their own, those of the guest's side above all: what Node has for all by default. */
export function defaultBufferBytes(flows: number): number {
  return areMany(flows) ? 16 * 1024 : 64 * 1024;
}

/** A connection to an origin that nobody uses: its TLS holds up to 128 KiB. */
export function idleOriginMs(flows: number): number {
  return flows <= MANY ? 60_000 : 2_000;
}
