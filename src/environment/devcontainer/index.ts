// devcontainer.json, read and merged; what it wants run is text for a shell in the guest.

export { type Definition, mergeDefinition } from './definition.ts';
export { chooseDevcontainer, DEVCONTAINER_FOLDER, DEVCONTAINER_PLACES, isDevcontainerFile } from './find.ts';
export { type Mount, readMount } from './mount.ts';
export { FILE_MAX_BYTES, parseDevcontainer } from './parse.ts';
export { type Command, type DevcontainerFile, PHASES, type Phase } from './schema.ts';
export { commandsScript, commandText, quoteWord, withUserEnvironment } from './script.ts';
export { localNames, substitute, type Variables } from './substitute.ts';
export { toEnvironment } from './to-environment.ts';
