// Reads the first message of a TLS client, which is hostile, without answering it: which name it asks for and which
// protocols it offers. Strict: what is not plainly right is `unreadable`, never guessed at. Limits: 16 KiB of message,
// 16 records.

export type ClientHello =
  /** The bytes end before the message does. */
  | { state: 'incomplete' }
  | { state: 'unreadable'; why: string }
  | { state: 'read'; serverName: string | null; alpn: readonly string[]; encryptedHello: boolean };

const MAX_MESSAGE_BYTES = 16 * 1024;
const MAX_RECORDS = 16;
const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;
const MAX_RECORD_BYTES = 16 * 1024;

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const EXTENSION_SERVER_NAME = 0;
const EXTENSION_ALPN = 16;
const EXTENSION_ENCRYPTED_HELLO = 0xfe0d;

/** What any message within the limits takes at most, record headers included. */
export const MAX_HELLO_BYTES = MAX_MESSAGE_BYTES + MAX_RECORDS * RECORD_HEADER_BYTES;

/** Whether the bytes can be the beginning of a TLS connection; as few as one are enough. */
export function looksLikeTls(bytes: Buffer): boolean {
  return (
    bytes[0] === HANDSHAKE && (bytes.length < 2 || bytes[1] === 3) && (bytes.length < 3 || bytes[2]! <= 4)
  );
}

export function parseClientHello(bytes: Buffer): ClientHello {
  const message = joinRecords(bytes);
  if (!Buffer.isBuffer(message)) return message;
  const reader = new Reader(message);
  try {
    return readHello(reader);
  } catch (error) {
    if (error instanceof Short) return unreadable('it ends in the middle of a field');
    throw error;
  }
}

/** The handshake message, whatever records it was cut into. */
function joinRecords(bytes: Buffer): Buffer | ClientHello {
  const parts: Buffer[] = [];
  let have = 0;
  let at = 0;
  for (let records = 0; ; records++) {
    if (records >= MAX_RECORDS) return unreadable(`it has more than ${MAX_RECORDS} records`);
    if (!looksLikeTls(bytes.subarray(at))) {
      if (at < bytes.length) return unreadable('it is no handshake');
      return { state: 'incomplete' };
    }
    if (bytes.length < at + RECORD_HEADER_BYTES) return { state: 'incomplete' };
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > MAX_RECORD_BYTES) return unreadable('a record has a wrong length');
    const part = bytes.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length);
    parts.push(part);
    have += part.length;
    const message = parts.length === 1 ? part : Buffer.concat(parts);
    if (message.length >= 1 && message[0] !== CLIENT_HELLO) return unreadable('it is no client hello');
    if (message.length >= MESSAGE_HEADER_BYTES) {
      const bodyBytes = message.readUIntBE(1, 3);
      if (bodyBytes > MAX_MESSAGE_BYTES) return unreadable(`it is longer than ${MAX_MESSAGE_BYTES} bytes`);
      // By what the record says, not by what has come of it: the answer is the same however the bytes were cut.
      const told = have + length - part.length;
      if (told > MESSAGE_HEADER_BYTES + bodyBytes) return unreadable('something follows it in its record');
      if (have === MESSAGE_HEADER_BYTES + bodyBytes) return message.subarray(MESSAGE_HEADER_BYTES);
    }
    if (part.length < length) return { state: 'incomplete' };
    at += RECORD_HEADER_BYTES + length;
  }
}

function readHello(hello: Reader): ClientHello {
  hello.skip(2 + 32); // legacy_version, random
  if (hello.vector(1).length > 32) return unreadable('its session id is too long');
  const suites = hello.vector(2).length;
  if (suites < 2 || suites % 2 !== 0) return unreadable('its cipher suites are broken');
  if (hello.vector(1).length < 1) return unreadable('its compression methods are broken');
  if (hello.left === 0) return { state: 'read', serverName: null, alpn: [], encryptedHello: false };
  const extensions = new Reader(hello.vector(2));
  if (hello.left > 0) return unreadable('something follows its extensions');
  const seen = new Set<number>();
  let serverName: string | null = null;
  let alpn: string[] = [];
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const data = new Reader(extensions.vector(2));
    if (seen.has(type)) return unreadable('an extension is there twice');
    seen.add(type);
    if (type === EXTENSION_SERVER_NAME) {
      const name = readServerName(data);
      if (name === null) return unreadable('its server name is broken');
      serverName = name;
    } else if (type === EXTENSION_ALPN) {
      const list = readAlpn(data);
      if (list === null) return unreadable('its list of protocols is broken');
      alpn = list;
    }
  }
  return { state: 'read', serverName, alpn, encryptedHello: seen.has(EXTENSION_ENCRYPTED_HELLO) };
}

/** Exactly one name, of the one type that there is. */
function readServerName(data: Reader): string | null {
  const list = new Reader(data.vector(2));
  if (data.left > 0 || list.number(1) !== 0) return null;
  const name = list.vector(2);
  if (list.left > 0 || name.length === 0 || name.length > 255) return null;
  // Every byte stays a character; `canonicalHost` refuses what is not ASCII.
  return name.toString('latin1');
}

function readAlpn(data: Reader): string[] | null {
  const list = new Reader(data.vector(2));
  if (data.left > 0 || list.left === 0) return null;
  const protocols: string[] = [];
  while (list.left > 0) {
    const protocol = list.vector(1);
    if (protocol.length === 0) return null;
    protocols.push(protocol.toString('latin1'));
  }
  return protocols;
}

function unreadable(why: string): ClientHello {
  return { state: 'unreadable', why };
}

class Short extends Error {}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  skip(count: number): void {
    if (this.left < count) throw new Short();
    this.#at += count;
  }

  number(bytes: 1 | 2): number {
    this.skip(bytes);
    return this.#bytes.readUIntBE(this.#at - bytes, bytes);
  }

  /** A field with its length in front. */
  vector(lengthBytes: 1 | 2): Buffer {
    const length = this.number(lengthBytes);
    this.skip(length);
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
