// Where a devcontainer.json may lie, in the order of the Dev Container specification. Pure.

import { WarrenError } from '../../protocol/error.ts';

/** Relative to the repository's root. Folders one level below `.devcontainer` may hold further ones. */
export const DEVCONTAINER_PLACES = ['.devcontainer/devcontainer.json', '.devcontainer.json'] as const;

export const DEVCONTAINER_FOLDER = '.devcontainer';

/** `.devcontainer/devcontainer.json`, `x/devcontainer.json`, `.devcontainer.json`. */
export function isDevcontainerFile(path: string): boolean {
  return /(?:^|\/)\.?devcontainer\.json$/.test(path);
}

/** `places`: those that are there. null: there is none. Throws `environment.devcontainer` when it cannot be told which. */
export function chooseDevcontainer(places: readonly string[]): string | null {
  for (const place of DEVCONTAINER_PLACES) if (places.includes(place)) return place;
  const further = places.filter((place) => /^\.devcontainer\/[^/]+\/devcontainer\.json$/.test(place)).sort();
  if (further.length <= 1) return further[0] ?? null;
  throw new WarrenError({
    code: 'environment.devcontainer',
    message: `cannot tell which environment is meant: there are ${further.slice(0, 10).join(', ')}`,
    remedy: `name one: --env ./${further[0]}`,
  });
}
