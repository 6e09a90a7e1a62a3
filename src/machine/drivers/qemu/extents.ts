// Several files as one disk, without a copy: a VMDK descriptor names them, one after the other. QEMU reads no more of
// the format than this (block/vmdk.c).

import { join } from 'node:path';
import type { Layer, MachineSpec } from '../../driver.ts';

const SECTOR_BYTES = 512;

/** Where the descriptor of a layer lies. */
export function stitched(spec: Pick<MachineSpec, 'sockets'>, index: number): string {
  return join(spec.sockets.folder, `layer${index}.vmdk`);
}

export function describeExtents(layer: Exclude<Layer, string>, path: (host: string) => string): string {
  const extents = layer
    // QEMU takes no extent of nothing.
    .filter(({ bytes }) => bytes > 0)
    .map(({ file, bytes }) => `RW ${bytes / SECTOR_BYTES} FLAT "${quotable(path(file))}" 0`);
  return [
    '# Disk DescriptorFile',
    'version=1',
    'CID=fffffffe',
    'parentCID=ffffffff',
    'createType="twoGbMaxExtentFlat"',
    ...extents,
    '',
  ].join('\n');
}

/** In a box all paths are constants; without one they are the user's. */
function quotable(path: string): string {
  if (path.length > 500 || /["\r\n]/.test(path))
    throw new Error(`a disk cannot be made of ${JSON.stringify(path)}`);
  return path;
}
