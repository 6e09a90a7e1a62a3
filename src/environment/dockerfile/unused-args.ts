// Values that were given with --build-arg and that nothing takes: most often a typing mistake.

import type { PlannedStage } from './stage-plan.ts';
import type { ParsedDockerfile, Statement } from './statement.ts';

const ALWAYS_TAKEN =
  /^(?:https?_proxy|ftp_proxy|no_proxy|all_proxy|BUILDKIT_.*|SOURCE_DATE_EPOCH|(?:BUILD|TARGET)(?:PLATFORM|OS|OSVERSION|ARCH|VARIANT)|TARGETSTAGE)$/i;

export function unusedBuildArgs(
  { globalArgs }: ParsedDockerfile,
  stages: PlannedStage[],
  buildArgs: ReadonlyMap<string, string>,
): string[] {
  const statements: Statement[] = [...globalArgs, ...stages.flatMap((stage) => stage.statements)];
  const declared = new Set(
    statements.flatMap((statement) =>
      statement.kind === 'arg' ? statement.args.map(({ name }) => name) : [],
    ),
  );
  return [...buildArgs.keys()].filter((name) => !declared.has(name) && !ALWAYS_TAKEN.test(name));
}
