// Flags of commands that make a machine: what runs in it, and how large it is.

import type { Command } from 'commander';
import { withBuildFlags } from './build-flags.ts';
import { countOption, sizeOption } from './declare.ts';

export function withEnvironmentFlags(command: Command): Command {
  const sized = command
    .option('--env <file-or-image>', 'environment (default: what the repository names, or the built-in one)')
    .option('--no-prepare', 'do not do what the repository wants prepared')
    .option(
      '--initialize',
      'let devcontainer.json run its initializeCommand here and copy files of this computer, and remember it',
    )
    .option('--no-initialize', 'do without it, and do not ask')
    .addOption(countOption('--cpus <count>', 'virtual CPUs'))
    .addOption(sizeOption('--memory <size>', 'memory: MiB, or a size like 4g', 'MiB'))
    .addOption(sizeOption('--disk <size>', 'disk: GiB, or a size like 40g', 'GiB'));
  return withBuildFlags(sized);
}
