// The public face of this room: kernels and images, made once and kept by content.

export { ensureImage, type Image } from './image.ts';
export { ensureKernel, type Kernel } from './kernel.ts';
