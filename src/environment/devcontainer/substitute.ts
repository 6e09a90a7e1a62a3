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

function inText(text: string, variables: Variables): string {
  return text.replace(/\$\{(.*?)\}/g, (written, inside: string) => {
    // As the reference has it: what follows a second colon of a default counts for nothing.
    const [name, key, fallback] = inside.split(':');
    return variableOf(name!, key, fallback, variables) ?? written;
  });
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
