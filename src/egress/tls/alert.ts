// A fatal TLS alert for a client that nobody will shake hands with.

const UNRECOGNIZED_NAME = 112;

/** As a record of its own, in plain text, as it is before a handshake. */
export const unrecognizedName = Buffer.from([21, 3, 3, 0, 2, 2, UNRECOGNIZED_NAME]);
