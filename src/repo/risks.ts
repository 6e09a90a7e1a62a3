// Which changes of a hand-back a host would execute, or would let decide what it executes, without anyone
// reading them: hooks, CI, editors, build files, instructions of agents. Pure. A list for a person to look at,
// not a verdict: the code itself can be hostile too.

import type { Change } from './changes.ts';
import { becameExecutable, isDeleted } from './changes.ts';

export type RiskKind =
  | 'hook'
  | 'ci'
  | 'editor'
  | 'shell'
  | 'build'
  | 'package'
  | 'git'
  | 'container'
  | 'agent'
  | 'executable';

export interface Risk {
  path: string;
  kind: RiskKind;
  /** Who would run it, and when. */
  why: string;
}

/** Text of a `package.json` on both sides; null where it is absent, too large or not to be had. */
export interface Contents {
  before: string | null;
  after: string | null;
}

/** Matched against the whole path, in lower case: a file system may not tell cases apart. */
const table: readonly [pattern: RegExp, kind: RiskKind, why: string][] = [
  [/(^|\/)\.husky\//, 'hook', 'husky runs it on git commands'],
  [/(^|\/)\.githooks\//, 'hook', 'git runs it where core.hooksPath points here'],
  [/(^|\/)\.pre-commit-(config|hooks)\.ya?ml$/, 'hook', 'pre-commit runs what it names on every commit'],
  [
    /(^|\/)\.?lefthook(-local)?(\.[a-z]+)?$|(^|\/)\.lefthook\//,
    'hook',
    'lefthook runs what it names on git commands',
  ],
  [
    /(^|\/)\.(lintstagedrc|simple-git-hooks|overcommit)(\.[a-z]+)?$/,
    'hook',
    'a hook runner runs what it names',
  ],

  [/^\.github\/(workflows|actions)\//, 'ci', 'GitHub runs it once pushed, with the repository’s secrets'],
  [/(^|\/)action\.ya?ml$/, 'ci', 'GitHub workflows run it as an action'],
  [/(^|\/)\.gitlab-ci(\.[a-z0-9-]+)?\.ya?ml$|^\.gitlab\/ci\//, 'ci', 'GitLab runs it once pushed'],
  [
    /^\.(circleci|buildkite|woodpecker|drone|forgejo|gitea|teamcity)\//,
    'ci',
    'a CI service runs it once pushed',
  ],
  [
    /^\.?(travis|drone|woodpecker|appveyor|cirrus|azure-pipelines|bitbucket-pipelines|cloudbuild)\.ya?ml$/,
    'ci',
    'a CI service runs it once pushed',
  ],
  [/(^|\/)jenkinsfile(\.[a-z0-9_-]+)?$/, 'ci', 'Jenkins runs it once pushed'],

  [
    /(^|\/)\.vscode\/(tasks|launch|settings|extensions|mcp)\.json$|\.code-workspace$/,
    'editor',
    'VS Code runs tasks and takes settings from it',
  ],
  [
    /(^|\/)\.idea\/|(^|\/)\.run\/.*\.run\.xml$/,
    'editor',
    'JetBrains editors take run configurations from it',
  ],
  [
    /(^|\/)\.(vimrc|exrc|nvimrc|nvim\.lua|dir-locals\.el)$|(^|\/)\.zed\//,
    'editor',
    'an editor may run it when the folder is opened',
  ],

  [/(^|\/)\.envrc$/, 'shell', 'direnv runs it on entering the folder'],
  [
    /(^|\/)\.?mise(\.[a-z.]+)?\.toml$|(^|\/)\.?mise\/|(^|\/)\.rtx\.toml$/,
    'shell',
    'mise takes environment and hooks from it',
  ],
  [/(^|\/)\.tool-versions$/, 'shell', 'asdf or mise choose programs by it'],

  [
    /(^|\/)(gnu)?makefile(\.[a-z]+)?$|\.mk$|(^|\/)\.?justfile$|(^|\/)taskfile\.ya?ml$/,
    'build',
    'its recipes run on the next build',
  ],
  [
    /(^|\/)(build\.rs|build\.zig|setup\.py|setup\.cfg|conftest\.py|noxfile\.py|tasks\.py|rakefile|gemfile|sconstruct|wscript)$/,
    'build',
    'it runs on the next build, install or test',
  ],
  [
    /(^|\/)(cmakelists\.txt|meson\.build|configure|build\.gradle(\.kts)?|settings\.gradle(\.kts)?|build\.sbt|build\.ninja)$/,
    'build',
    'it runs on the next build',
  ],
  [
    /(^|\/)(gradle|maven)-wrapper\.(jar|properties)$|(^|\/)(gradlew|mvnw)(\.bat|\.cmd)?$|(^|\/)\.mvn\//,
    'build',
    'the build wrapper runs it',
  ],
  [
    /(^|\/)(flake|shell|default)\.nix$|(^|\/)(workspace|module|build)\.bazel$|(^|\/)\.bazelrc$/,
    'build',
    'it runs on the next build or shell',
  ],
  [/(^|\/)(sitecustomize|usercustomize)\.py$|\.pth$/, 'build', 'Python runs it at its start'],

  [
    /(^|\/)\.npmrc$|(^|\/)\.pnpmfile\.c?js$|(^|\/)\.yarnrc(\.ya?ml)?$|(^|\/)\.yarn\/(releases|plugins)\//,
    'package',
    'it decides where packages come from, or what the package manager runs',
  ],
  [
    /(^|\/)bunfig\.toml$|(^|\/)(pip\.conf|\.pypirc|uv\.toml)$|(^|\/)nuget\.config$/,
    'package',
    'it decides where packages come from',
  ],
  [
    /(^|\/)\.cargo\/(config(\.toml)?|credentials.*)$|(^|\/)rust-toolchain(\.toml)?$/,
    'package',
    'cargo takes linkers, runners and wrappers from it',
  ],

  [/(^|\/)\.gitattributes$/, 'git', 'it chooses filters, merge and diff drivers of your git configuration'],
  [/(^|\/)\.gitmodules$/, 'git', 'it says where submodules are fetched from'],
  [/(^|\/)\.(lfsconfig|gitconfig)$/, 'git', 'it can change where git sends and fetches objects'],

  [/(^|\/)\.devcontainer(\/|\.json$)/, 'container', 'it defines an environment and commands that run in it'],
  [
    /(^|\/)(dockerfile|containerfile)(\.[a-z0-9_-]+)?$|\.dockerfile$|(^|\/)(docker-)?compose(\.[a-z0-9_-]+)?\.ya?ml$/,
    'container',
    'it runs on the next image build or start',
  ],
  [/(^|\/)vagrantfile$/, 'container', 'vagrant runs it'],
  [/(^|\/)warren\.json$/, 'container', 'it configures the next sandbox: what it runs, carries and reaches'],

  [
    /(^|\/)\.(claude|cursor|codex|gemini|windsurf|roo|continue|aider[a-z.]*)(\/|$)|(^|\/)\.aider\.conf\.ya?ml$/,
    'agent',
    'an agent on the host takes hooks, tools and instructions from it',
  ],
  [/(^|\/)\.?mcp\.json$/, 'agent', 'an agent on the host starts the servers it names'],
  [
    /(^|\/)(agents|claude|gemini|copilot-instructions|conventions)(\.local)?\.md$|(^|\/)\.(cursorrules|windsurfrules|clinerules|goosehints)$|^\.github\/(instructions|prompts|chatmodes)\//,
    'agent',
    'an agent on the host follows its instructions',
  ],
];

export function risks(
  changes: readonly Change[],
  contents: ReadonlyMap<string, Contents> = new Map(),
): Risk[] {
  return changes.flatMap((change) => {
    if (isDeleted(change)) return [];
    const named = byName(change, contents.get(change.path));
    return named ? [named] : becameExecutable(change) ? [executable(change.path)] : [];
  });
}

/** Whether `risks` needs the text of this file on both sides. */
export const needsContent = (path: string): boolean => /(^|\/)package\.json$/i.test(path);

function byName({ path }: Change, contents: Contents | undefined): Risk | null {
  const lower = path.toLowerCase();
  const row = table.find(([pattern]) => pattern.test(lower));
  if (row) return { path, kind: row[1], why: row[2] };
  if (!needsContent(path)) return null;
  const before = executedParts(contents?.before ?? null);
  const after = executedParts(contents?.after ?? null);
  if (after !== 'unknown' && before === after) return null;
  return { path, kind: 'package', why: 'its scripts changed: npm runs them on install, test and build' };
}

/** The parts of a package.json that name commands, in one comparable text. */
function executedParts(text: string | null): string {
  if (text === null) return 'unknown';
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json !== 'object' || json === null) return 'unknown';
    const { scripts, bin, packageManager, husky, gypfile } = json as Record<string, unknown>;
    const rest = json as Record<string, unknown>;
    return sorted({
      scripts,
      bin,
      packageManager,
      husky,
      gypfile,
      staged: rest['lint-staged'],
      hooks: rest['simple-git-hooks'],
    });
  } catch {
    return 'unknown';
  }
}

function sorted(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

function executable(path: string): Risk {
  return { path, kind: 'executable', why: 'it became executable' };
}
