// devcontainer.json, JSON with comments and trailing commas → what it says. Whatever is wrong is told with its line.

import { findNodeAtLocation, type ParseError, parse, parseTree, printParseErrorCode } from 'jsonc-parser';
import * as v from 'valibot';
import { WarrenError } from '../../protocol/error.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { shapeObjection } from '../../protocol/shape.ts';
import { DEPTH_MAX, tooDeep } from './depth.ts';
import { type DevcontainerFile, fileSchema } from './schema.ts';

export const FILE_MAX_BYTES = 1024 * 1024;

/** `file`: for people. Throws `environment.devcontainer`. */
export function parseDevcontainer(written: string, file: string): DevcontainerFile {
  const text = written.replace(/^\uFEFF/, '');
  if (Buffer.byteLength(text) > FILE_MAX_BYTES)
    throw refused(file, null, `it is larger than ${FILE_MAX_BYTES} bytes`, 'make it smaller');
  const deep = tooDeep(text);
  if (deep !== null) throw refused(file, placeOf(text, deep), `there are more than ${DEPTH_MAX} levels`);
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const [error] = errors;
  if (error) throw refused(file, placeOf(text, error.offset), inWords(printParseErrorCode(error.error)));
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refused(file, { line: 1, column: 1 }, 'an object was expected: { … }');
  const parsed = v.safeParse(fileSchema, value);
  if (!parsed.success) {
    const { path, place, why } = shapeObjection(fileSchema, parsed.issues[0]);
    throw refused(file, placeAt(text, path), place === '' ? why : `${place}: ${why}`);
  }
  refuseUnsupported(parsed.output, file, (key) => placeAt(text, [key]));
  return parsed.output;
}

/** What would mislead if it were passed over in silence. */
function refuseUnsupported(said: DevcontainerFile, file: string, place: (key: string) => Place | null): void {
  if (said.dockerComposeFile !== undefined)
    throw refused(
      file,
      place('dockerComposeFile'),
      'several containers by Docker Compose are not supported: a sandbox is one machine',
      "name the service's own image or Dockerfile: warren up --env IMAGE; other services can run inside the machine",
    );
  const dockerfile = said.dockerFile ?? said.build?.dockerfile;
  if (said.image !== undefined && dockerfile !== undefined)
    throw refused(file, place('image'), '"image" and a Dockerfile are both named: one was expected');
  if (said.build !== undefined && dockerfile === undefined && said.image === undefined)
    throw refused(file, place('build'), '"build" names no "dockerfile"');
}

interface Place {
  line: number;
  column: number;
}

function placeAt(text: string, path: readonly (string | number)[]): Place | null {
  const tree = parseTree(text, [], { allowTrailingComma: true });
  for (let length = path.length; tree && length > 0; length--) {
    const node = findNodeAtLocation(tree, path.slice(0, length));
    if (node) return placeOf(text, node.offset);
  }
  return null;
}

function placeOf(text: string, offset: number): Place {
  const lines = text.slice(0, offset).split('\n');
  return { line: lines.length, column: lines.at(-1)!.length + 1 };
}

function inWords(code: string): string {
  return code.replace(/[A-Z]/g, (letter, at) => (at ? ' ' : '') + letter.toLowerCase());
}

function refused(file: string, place: Place | null, why: string, remedy?: string): WarrenError {
  const at = place ? `:${place.line}:${place.column}` : '';
  return new WarrenError({
    code: 'environment.devcontainer',
    message: `${file}${at}: ${sanitizeLine(why, 500)}`,
    remedy: remedy ?? `correct ${place ? `line ${place.line} of ` : ''}${file}`,
    details: { file, ...(place && { line: place.line, column: place.column }) },
  });
}
