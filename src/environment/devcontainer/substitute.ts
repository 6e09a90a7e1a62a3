// Variables of devcontainer.json. What is put in is data: it is never looked at again. Pure.

export interface Variables {
  /** Of the host, and only what a person lets a repository know. */
  localEnv: Readonly<Record<string, string>>;
  localWorkspaceFolder: string;
  containerWorkspaceFolder: string;
  devcontainerId: string;
  /** null: not known yet, and left as it is written. */
  containerEnv: Readonly<Record<string, string>> | null;
}

/** Every text in `value`, however deep; keys stay as they are. */
export function substitute<Value>(value: Value, variables: Variables): Value {
  if (typeof value === 'string') return inText(value, variables) as Value;
  if (Array.isArray(value)) return value.map((each) => substitute(each, variables)) as Value;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, substitute(each, variables)]),
  ) as Value;
}

/** Names that `${localEnv:…}` asks for. */
export function localNames(value: unknown): string[] {
  const names = new Set<string>();
  const look = (each: unknown): void => {
    if (typeof each === 'string') {
      for (const [, name] of each.matchAll(/\$\{(?:localEnv|env):([^:}]*)/g)) if (name) names.add(name);
    } else if (typeof each === 'object' && each !== null) Object.values(each).forEach(look);
  };
  look(value);
  return [...names];
}

/** In one walk: whoever wrote the text may have opened thousands and closed none. */
function inText(text: string, variables: Variables): string {
  let made = '';
  let at = 0;
  let end = -1;
  for (let open = text.indexOf('${'); open >= 0; open = text.indexOf('${', at)) {
    if (end < open + 2) end = endAfter(text, open + 2);
    const isClosed = text[end] === '}';
    const next = isClosed ? end + 1 : open + 2;
    const written = text.slice(open, next);
    made += text.slice(at, open) + (isClosed ? filled(written, variables) : written);
    at = next;
  }
  return made + text.slice(at);
}

/** Of its line, as the reference has it. */
function endAfter(text: string, from: number): number {
  const ends = /[}\n\r\u2028\u2029]/g;
  ends.lastIndex = from;
  return ends.exec(text)?.index ?? text.length;
}

function filled(written: string, variables: Variables): string {
  // What follows a second colon of a default counts for nothing, again as the reference has it.
  const [name, key, fallback] = written.slice(2, -1).split(':');
  return variableOf(name!, key, fallback, variables) ?? written;
}

function variableOf(
  name: string,
  key: string | undefined,
  fallback: string | undefined,
  { localEnv, containerEnv, localWorkspaceFolder, containerWorkspaceFolder, devcontainerId }: Variables,
): string | undefined {
  switch (name) {
    case 'env':
    case 'localEnv':
      return key === undefined ? undefined : (own(localEnv, key) ?? fallback ?? '');
    case 'containerEnv':
      return key === undefined || containerEnv === null
        ? undefined
        : (own(containerEnv, key) ?? fallback ?? '');
    case 'localWorkspaceFolder':
      return localWorkspaceFolder;
    case 'localWorkspaceFolderBasename':
      return basename(localWorkspaceFolder);
    case 'containerWorkspaceFolder':
      return containerWorkspaceFolder;
    case 'containerWorkspaceFolderBasename':
      return basename(containerWorkspaceFolder);
    case 'devcontainerId':
      return devcontainerId;
    default:
      return undefined;
  }
}

function own(of: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(of, key) ? of[key] : undefined;
}

function basename(path: string): string {
  return path.split('/').filter(Boolean).at(-1) ?? '';
}
