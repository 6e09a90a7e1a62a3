// Any environment → its image.

import { ensureDefaultImage } from './default-image.ts';
import type { Image, ImageRequest } from './image.ts';
import { ensureOciImage } from './oci-image.ts';

export async function ensureImage(request: ImageRequest): Promise<Image> {
  const { environment } = request;
  return environment.kind === 'default'
    ? await ensureDefaultImage({ ...request, environment })
    : await ensureOciImage({ ...request, environment });
}
