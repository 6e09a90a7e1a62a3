// The shape of a profile: entries as a `warren.json` could hold them, reviewed, each with its reason in the file.

import type { Entry } from '../rule.ts';

export interface Profile {
  /** For `warren policy show`: one line. */
  about: string;
  /** Names at a repository's root that make the profile fit; `*` always does. */
  files: readonly string[];
  allow: readonly Entry[];
}
