// The words of devcontainer.json and of the metadata label of images, as https://containers.dev/implementors/json_reference/
// has them. Written by whoever wrote the repository or the image: everything is bounded; what is not known is not an error,
// for tools add their own.

import * as v from 'valibot';

const text = v.pipe(
  v.string(),
  v.maxLength(65_536),
  v.check((value) => !value.includes('\0'), 'it holds a NUL'),
);
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));
const variable = v.pipe(v.string(), v.regex(/^[^=\0]{1,4096}$/, 'not the name of a variable'));
const COMMANDS_MAX = 100;
/** With variables in it nothing can be told of a text before they are put in. */
const varies = (value: string) => value.includes('${');

/** The name or number of a user, also with a group. */
export const isUser = (value: string): boolean => /^[^\s:\0]{1,255}(?::[^\s:\0]{1,255})?$/.test(value);
const user = v.pipe(
  text,
  v.check((value) => value === '' || varies(value) || isUser(value), 'not a user'),
);

const words = v.pipe(v.array(text), v.minLength(1), v.maxLength(1000));
const one = v.union([text, words], 'a text or a list of texts was expected');
const command = v.union(
  [
    text,
    words,
    v.pipe(
      v.record(v.pipe(v.string(), v.maxLength(255)), one),
      v.check((named) => Object.keys(named).length <= COMMANDS_MAX, `more than ${COMMANDS_MAX} commands`),
    ),
  ],
  'a command was expected: a text, a list of texts, or an object of those',
);
const mount = v.union(
  [text, v.looseObject({ type: v.optional(text), source: v.optional(text), target: text })],
  'a mount was expected: "type=volume,source=NAME,target=/PATH" or an object',
);
const port = v.union(
  [
    v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)),
    v.pipe(v.string(), v.regex(/^[^\s:]{1,253}:\d{1,5}$/, 'a port was expected')),
  ],
  'a port was expected',
);
const size = v.pipe(v.string(), v.regex(/^\d{1,12}(?:[tgmk]b)?$/i, 'a size was expected, such as "8gb"'));
/** Numbers are written without quotes, and engines take them. */
const value = v.pipe(v.union([text, v.number(), v.boolean()], 'a text was expected'), v.transform(String));
const environment = v.pipe(
  v.record(variable, value),
  v.check((all) => Object.keys(all).length <= 1000, 'more than 1000 variables'),
);

export const PHASES = [
  'onCreateCommand',
  'updateContentCommand',
  'postCreateCommand',
  'postStartCommand',
  'postAttachCommand',
] as const;
export type Phase = (typeof PHASES)[number];

/** What both a file and a label may say. */
const common = {
  init: v.optional(v.boolean()),
  privileged: v.optional(v.boolean()),
  capAdd: v.optional(v.pipe(v.array(text), v.maxLength(1000))),
  securityOpt: v.optional(v.pipe(v.array(text), v.maxLength(1000))),
  mounts: v.optional(v.pipe(v.array(mount), v.maxLength(100))),
  onCreateCommand: v.optional(command),
  updateContentCommand: v.optional(command),
  postCreateCommand: v.optional(command),
  postStartCommand: v.optional(command),
  postAttachCommand: v.optional(command),
  waitFor: v.optional(
    v.picklist(['initializeCommand', ...PHASES], 'it must name one of the lifecycle commands'),
  ),
  customizations: v.optional(v.record(v.string(), v.unknown())),
  containerUser: v.optional(user),
  remoteUser: v.optional(user),
  userEnvProbe: v.optional(v.picklist(['none', 'loginShell', 'interactiveShell', 'loginInteractiveShell'])),
  containerEnv: v.optional(environment),
  remoteEnv: v.optional(v.record(variable, v.nullable(value))),
  overrideCommand: v.optional(v.boolean()),
  portsAttributes: v.optional(v.record(v.pipe(v.string(), v.maxLength(255)), v.looseObject({}))),
  otherPortsAttributes: v.optional(v.looseObject({})),
  forwardPorts: v.optional(v.pipe(v.array(port), v.maxLength(1000))),
  shutdownAction: v.optional(v.string()),
  updateRemoteUserUID: v.optional(v.boolean()),
  hostRequirements: v.optional(
    v.looseObject({
      cpus: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(4096))),
      memory: v.optional(size),
      storage: v.optional(size),
      gpu: v.optional(v.unknown()),
    }),
  ),
};

/** An entry of the label, which a feature or an image left. */
export const metadataSchema = v.looseObject({
  ...common,
  id: v.optional(v.string()),
  entrypoint: v.optional(v.nullable(text)),
});
export type Metadata = v.InferOutput<typeof metadataSchema>;

export const fileSchema = v.looseObject({
  ...common,
  name: v.optional(text),
  image: v.optional(name),
  build: v.optional(
    v.looseObject({
      dockerfile: v.optional(name),
      context: v.optional(name),
      target: v.optional(name),
      args: v.optional(environment),
      options: v.optional(v.pipe(v.array(text), v.maxLength(100))),
    }),
  ),
  dockerFile: v.optional(name),
  context: v.optional(name),
  dockerComposeFile: v.optional(v.unknown()),
  features: v.optional(v.record(v.pipe(v.string(), v.minLength(1), v.maxLength(4096)), v.unknown())),
  overrideFeatureInstallOrder: v.optional(v.pipe(v.array(text), v.maxLength(1000))),
  workspaceFolder: v.optional(
    v.pipe(
      text,
      v.check((path) => varies(path) || path.startsWith('/'), 'an absolute path was expected'),
    ),
  ),
  workspaceMount: v.optional(v.string()),
  initializeCommand: v.optional(command),
  runArgs: v.optional(v.pipe(v.array(text), v.maxLength(1000))),
  appPort: v.optional(v.unknown()),
});
export type DevcontainerFile = v.InferOutput<typeof fileSchema>;

export type Command = v.InferOutput<typeof command>;
export type MountWish = v.InferOutput<typeof mount>;
