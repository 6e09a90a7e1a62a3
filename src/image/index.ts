// The public face of this room: kernels and images, made once and kept by content.

export { ensureImage } from './ensure-image.ts';
export { filesOfImages, type Image, type Layer } from './image.ts';
export { ensureKernel, type Kernel } from './kernel.ts';
export { type ImageSettings, ownArchitecture } from './manifest.ts';
export { forgetName, type KnownName, knownNames } from './references.ts';
