// The files that hosts execute or obey, by path. Pure data; `risks.ts` applies it. The first row that fits counts.

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
  | 'executable'
  | 'symlink'
  | 'submodule'
  | 'repository';

/** Matched against the whole path, in lower case: a file system may not tell cases apart. */
export const riskTable: readonly [pattern: RegExp, kind: RiskKind, why: string][] = [
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

/**
 * What a folder's name is tried with when the folder itself is a symlink or a submodule: the files that the table
 * knows inside it come from elsewhere then.
 */
export const insides = [
  '/x',
  '/workflows/x',
  '/tasks.json',
  '/config.toml',
  '/releases/x',
  '/ci/x',
  '/instructions/x',
];
