// Secrets of a build are seen by the steps that ask for them, and by nobody else: they are cut out of what steps say, and
// a layer that holds one is not kept. Values come from the user; where they turn up is a guest's doing.

import { Transform, type TransformCallback } from 'node:stream';
import { WarrenError } from '../../protocol/error.ts';

/** By its id, as `RUN --mount=type=secret,id=…` names it. */
export type BuildSecrets = ReadonlyMap<string, Buffer>;

/** A shorter value turns up by chance. */
const VALUE_MIN_BYTES = 6;

/** The values to look for: each secret whole, and without the newline at its end. */
export function valuesOf(secrets: BuildSecrets): { id: string; value: Buffer }[] {
  return [...secrets].flatMap(([id, content]) => {
    const text = content.toString('latin1').replace(/[\r\n]+$/, '');
    return text.length < VALUE_MIN_BYTES ? [] : [{ id, value: Buffer.from(text, 'latin1') }];
  });
}

/** Of one line. A secret of several lines is cut out line by line. */
export function scrub(line: string, secrets: BuildSecrets): string {
  let text = line;
  for (const { value } of valuesOf(secrets))
    for (const part of value.toString('utf8').split('\n'))
      if (part.trim().length >= VALUE_MIN_BYTES) text = text.replaceAll(part, '***');
  return text;
}

/** Passes a layer on, and fails with `build.secret-in-layer` when it holds a value. */
export class SecretGuard extends Transform {
  readonly #values: { id: string; value: Buffer }[];
  readonly #keepBytes: number;
  #kept: Buffer = Buffer.alloc(0);

  constructor(secrets: BuildSecrets) {
    super();
    this.#values = valuesOf(secrets);
    this.#keepBytes = Math.max(0, ...this.#values.map(({ value }) => value.length - 1));
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const seen = this.#values.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    const found = this.#values.find(({ value }) => seen.includes(value));
    this.#kept = seen.subarray(Math.max(0, seen.length - this.#keepBytes));
    if (found) done(inLayer(found.id));
    else done(null, chunk);
  }
}

function inLayer(id: string): WarrenError {
  return new WarrenError({
    code: 'build.secret-in-layer',
    message: `cannot keep what the step changed: a file of it holds the secret "${id}"`,
    remedy: 'let the step write it nowhere but where the secret is mounted',
  });
}
