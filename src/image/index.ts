// The public face of this room: kernels and images, made once and kept by content.

export { type BuildResult, buildImage } from './build/build.ts';
export { FileDigests } from './build/file-digests.ts';
export { Sources } from './build/sources.ts';
export { buildWithEngine } from './engine.ts';
export { ensureImage } from './ensure-image.ts';
export { filesOfImages, type Image, type Layer } from './image.ts';
export { ensureKernel, type Kernel } from './kernel.ts';
export { type ImageSettings, ownArchitecture } from './manifest.ts';
