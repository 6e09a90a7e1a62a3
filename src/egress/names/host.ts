// A host as everything in the door names it: made by `canonicalHost` only, so that DNS, CONNECT, SOCKS, SNI, Host
// and rules can be compared with `===`.

export type Host =
  /** ASCII, lower-case, no trailing dot, at most 253 bytes. */
  | { kind: 'name'; name: string }
  /** Canonical text of the address: dotted quad, or RFC 5952. */
  | { kind: 'address'; family: 4 | 6; address: string };
