// Requests to an SSH agent as bytes, for tests.

export function words(...texts: string[]): Buffer {
  return Buffer.concat(
    texts.flatMap((text) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(Buffer.byteLength(text));
      return [length, Buffer.from(text)];
    }),
  );
}

export function signRequest(key: string, data: string): Buffer {
  return Buffer.concat([Buffer.from([13]), words(key, data), Buffer.alloc(4)]);
}

/** An extension in the shape of `session-bind@openssh.com`. */
export function bindRequest(name: string): Buffer {
  return Buffer.concat([Buffer.from([27]), words(name, 'host key', 'session', 'signature'), Buffer.alloc(1)]);
}
