// Configurations, and what the reference implementation answered.

import type { Configuration, Reading } from './devcontainer-reading.ts';
import { readFacts } from './facts.ts';

export interface Carried {
  name: string;
  path: string;
  said: Record<string, unknown>;
  label?: unknown;
  /** null: it refused. */
  answer: Reading | null;
}

export interface DevcontainerFacts {
  'facts of': string;
  carried: Carried[];
  own: Carried[];
}

export function carriedConfigurations(): { configuration: Configuration; answer: Reading | null }[] {
  const { carried, own } = readFacts<DevcontainerFacts>('devcontainers.json');
  return [...carried, ...own].map(({ name, path, said, label, answer }) => ({
    configuration: {
      ...{ name, path, text: JSON.stringify(said) },
      label: label === undefined ? null : JSON.stringify(label),
    },
    answer,
  }));
}
