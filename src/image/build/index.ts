// The public face of builds: loaded when something has to be built, and not before.

export { buildWithEngine } from '../engine.ts';
export { rememberBuild } from '../references.ts';
export { type BuildResult, buildImage } from './build.ts';
export { FileDigests } from './file-digests.ts';
export { Sources } from './sources.ts';
