// The command line: names, flags and help. Each action loads its own file, so that `ls` does not pay for `up`.

import { Command, CommanderError, Option } from 'commander';
import { version } from '../host/build.ts';
import { printError } from './terminal.ts';

const program = new Command('warren')
  .description(
    'A microVM with a copy of your git repository, for you and for every agent that works for you.',
  )
  .version(version, '-V, --version')
  .showSuggestionAfterError()
  .enablePositionalOptions()
  .exitOverride()
  .configureOutput({
    outputError: (text, write) => write(text.replace(/^error: /, 'error: cannot read the command: ')),
  });

program.addHelpText(
  'before',
  `Examples:
  warren up                      a shell in a microVM with a copy of this repository
  warren run --rm -- npm test    one command in a fresh sandbox
  warren merge demo              bring the commits of sandbox "demo" home
`,
);

command('up [path]', 'start a sandbox with a copy of the repository, and open a shell in it', [
  'warren up',
  'warren up --name review --memory 4096 ../other-repo',
])
  .option('--name <name>', 'what to call it (default: after the repository)')
  .addOption(sizeOption('--cpus <count>', 'virtual CPUs'))
  .addOption(sizeOption('--memory <mib>', 'memory in MiB'))
  .addOption(sizeOption('--disk <gib>', 'disk in GiB'))
  .option('--env <file-or-image>', 'environment (default: the built-in one)')
  .addOption(networkOption())
  .option('-d, --detach', 'do not open a shell')
  .option('--json', 'print the sandbox as JSON; implies --detach')
  .action(
    action(async (path: string | undefined, options) => (await import('./commands/up.ts')).up(path, options)),
  );

command('run', 'run one command in a fresh sandbox', [
  'warren run --rm -- npm test',
  'warren run --rm --no-repo -- uname -a',
  'warren run --rm --no-repo --env docker.io/library/debian:bookworm -- cat /etc/os-release',
])
  .argument('<command...>')
  .passThroughOptions()
  .option('--name <name>', 'what to call the sandbox')
  .option('--rm', 'remove the sandbox afterwards, unless work would be lost')
  .option('--no-repo', 'without a repository')
  .addOption(sizeOption('--cpus <count>', 'virtual CPUs'))
  .addOption(sizeOption('--memory <mib>', 'memory in MiB'))
  .addOption(sizeOption('--disk <gib>', 'disk in GiB'))
  .option('--env <file-or-image>', 'environment (default: the built-in one)')
  .addOption(networkOption())
  .option('-u, --user <user>', 'run as this user of the guest')
  .option('-e, --environment <key=value>', 'set a variable (repeatable)', collect, [])
  .action(
    action(async (words: string[], options) => (await import('./commands/run.ts')).run(words, options)),
  );

command('exec', 'run a command in a running sandbox', [
  'warren exec demo -- npm test',
  'warren exec -it demo -- python3',
])
  .argument('<name>')
  .argument('<command...>')
  .passThroughOptions()
  .option('-i, --interactive', 'send standard input')
  .option('-t, --tty', 'give it a terminal')
  .option('-u, --user <user>', 'run as this user of the guest')
  .option('--cwd <folder>', 'start in this folder of the guest')
  .option('-e, --environment <key=value>', 'set a variable (repeatable)', collect, [])
  .action(
    action(async (name: string, words: string[], options) =>
      (await import('./commands/exec.ts')).exec(name, words, options),
    ),
  );

command('shell <name>', 'open a shell in a running sandbox (Ctrl-P Ctrl-Q leaves it running)', [
  'warren shell demo',
])
  .option('-u, --user <user>', 'as this user of the guest')
  .option('--session <pid>', 'take up a session that was left', parseCount)
  .action(
    action(async (name: string, options) => (await import('./commands/shell.ts')).shell(name, options)),
  );

command('ls', 'list the sandboxes', ['warren ls', 'warren ls --json'])
  .option('--json', 'as JSON')
  .option('-q, --quiet', 'names only')
  .action(action(async (options) => (await import('./commands/ls.ts')).ls(options)));
command('show <name>', 'tell everything about a sandbox', ['warren show demo'])
  .option('--json', 'as JSON')
  .action(action(async (name: string, options) => (await import('./commands/show.ts')).show(name, options)));
command('logs <name>', "print what the machine's console said", ['warren logs demo'])
  .option('--json', 'as JSON')
  .action(action(async (name: string, options) => (await import('./commands/show.ts')).logs(name, options)));
command('journal <name>', 'print the record of what was done to a sandbox', ['warren journal demo'])
  .option('--json', 'as JSON')
  .action(
    action(async (name: string, options) => (await import('./commands/show.ts')).journal(name, options)),
  );
command('cp <source> <destination>', 'copy files into or out of a sandbox (NAME:PATH on one side)', [
  'warren cp demo:/workspaces/app/dist ./dist',
  'warren cp data.csv demo:/tmp/',
])
  .option('-u, --user <user>', 'as this user of the guest')
  .action(
    action(async (source: string, destination: string, options) =>
      (await import('./commands/cp.ts')).cp(source, destination, options),
    ),
  );

command('diff <name>', 'show the commits and the uncommitted work of a sandbox', [
  'warren diff demo',
  'warren diff demo --stat',
])
  .option('--stat', 'a summary instead of the patch')
  .option('--json', 'as JSON')
  .action(action(async (name: string, options) => (await import('./commands/diff.ts')).diff(name, options)));
command('fetch <name>', "receive a sandbox's commits into refs/warren/NAME/", ['warren fetch demo'])
  .option('--json', 'as JSON')
  .action(
    action(async (name: string, options) => (await import('./commands/merge.ts')).fetch(name, options)),
  );
command('merge <name>', "bring a sandbox's commits into the current branch", [
  'warren merge demo',
  'warren merge demo --commit -m "Add the parser"',
  'warren merge demo --squash -m "Add the parser"',
])
  .option('--squash', 'as one commit')
  .option('--commit', 'first commit in the guest what is not committed there')
  .option('-m, --message <message>', 'the message of --commit or --squash')
  .option('--allow-rewritten', 'also when the sandbox rewrote its history')
  .option('--json', 'as JSON')
  .action(
    action(async (name: string, options) => (await import('./commands/merge.ts')).merge(name, options)),
  );
command('rm <names...>', 'remove sandboxes; refuses when work would be lost', [
  'warren rm demo',
  'warren rm --force demo',
])
  .option('-f, --force', 'also with unfetched commits or uncommitted changes')
  .action(action(async (names: string[], options) => (await import('./commands/rm.ts')).rm(names, options)));

for (const [verb, says] of [
  ['stop', 'shut the machines down; their disks stay'],
  ['start', 'boot stopped or crashed sandboxes from their disks'],
  ['pause', 'freeze the machines where they are'],
  ['resume', 'let paused machines go on'],
] as const) {
  command(`${verb} <names...>`, says, [`warren ${verb} demo`]).action(
    action(async (names: string[]) => (await import('./commands/power.ts')).power(verb, names)),
  );
}

const template = program
  .command('template')
  .description('the frozen machines that sandboxes are restored from');
under(template, 'ls', 'list the templates', ['warren template ls'])
  .option('--json', 'as JSON')
  .action(action(async (options) => (await import('./commands/template.ts')).ls(options)));
under(template, 'build', 'build the template for an environment and a size now', [
  'warren template build --memory 2048',
  'warren template build --env debian:trixie --pull',
])
  .addOption(sizeOption('--cpus <count>', 'virtual CPUs'))
  .addOption(sizeOption('--memory <mib>', 'memory in MiB'))
  .addOption(sizeOption('--disk <gib>', 'disk in GiB'))
  .option('--env <file-or-image>', 'environment (default: the built-in one)')
  .option('--pull', 'look the image up again, though its name is known')
  .option('--json', 'as JSON')
  .action(action(async (options) => (await import('./commands/template.ts')).build(options)));
under(template, 'rm [ids...]', 'remove templates that no sandbox lies over', ['warren template rm --all'])
  .option('--all', 'all that are not in use')
  .action(
    action(async (ids: string[], options) => (await import('./commands/template.ts')).rm(ids, options)),
  );
const forward = command(
  'forward <name> <ports>',
  'let a port of this computer lead to one of a sandbox (PORT or PORT:HOSTPORT)',
  ['warren forward demo 3000', 'warren forward demo 3000:8080', 'warren forward ls demo'],
)
  .option('--json', 'as JSON')
  .action(
    action(async (name: string, ports: string, options) =>
      (await import('./commands/forward.ts')).forward(name, ports, options),
    ),
  );
under(forward, 'ls [name]', 'list what listens in sandboxes, its stable names and forwards', [
  'warren forward ls',
  'warren forward ls demo --json',
])
  .option('--json', 'as JSON')
  .action(
    action(async (name: string | undefined, _options, self: Command) =>
      (await import('./commands/forward.ts')).ls(name, self.optsWithGlobals()),
    ),
  );
under(forward, 'rm <name> <port>', 'end a forward', ['warren forward rm demo 3000']).action(
  action(async (name: string, port: string) => (await import('./commands/forward.ts')).rm(name, port)),
);
command('prune', 'remove templates, images and kernels that nothing needs, and kept downloads', [
  'warren prune',
  'warren prune --all',
])
  .option('--all', 'also what the next `up` would use')
  .option('--json', 'as JSON')
  .action(action(async (options) => (await import('./commands/template.ts')).prune(options)));

const audit = command('audit <name>', 'tell what wanted out of a sandbox, and what became of it', [
  'warren audit demo --denied',
  'warren audit demo --follow',
  'warren audit verify demo',
])
  .option('-f, --follow', 'go on with what comes')
  .option('--denied', 'only what was not let through')
  .option('--json', 'a JSON object a line')
  .action(
    action(async (name: string, options) => (await import('./commands/audit.ts')).audit(name, options)),
  );
under(audit, 'verify <name>', 'check that no record was changed, left out or put in', [
  'warren audit verify demo',
])
  .option('--json', 'as JSON')
  .action(
    action(async (name: string, _options, self: Command) =>
      (await import('./commands/audit.ts')).verify(name, self.optsWithGlobals()),
    ),
  );

const policy = program.command('policy').description('what may leave a sandbox');
under(policy, 'show <name>', 'list the rules in force, and the files that they come from', [
  'warren policy show demo',
])
  .option('--json', 'as JSON')
  .action(
    action(async (name: string, options) => (await import('./commands/policy.ts')).show(name, options)),
  );
for (const [verb, effect, remove, says] of [
  ['allow', 'allow', false, 'let a sandbox reach a host'],
  ['deny', 'deny', false, 'deny a host, whatever allows it'],
  ['rm', 'allow', true, 'take away a rule that was allowed, or with --deny denied'],
] as const) {
  const rule = under(policy, `${verb} <name> [hosts...]`, says, examplesOf(verb))
    .option('--http', 'plain HTTP (default: https; port 80 is always plain)')
    .option('--tcp', 'any protocol: nobody looks into it')
    .option('--tls-passthrough', 'TLS that nobody looks into, to this name alone')
    .option('--method <method>', 'only this method (repeatable)', collect, [])
    .option('--path <pattern>', 'only this path, such as /v1/* (repeatable)', collect, [])
    .option(
      '--host-service <port>',
      'a port of this computer, as host.warren.internal (repeatable)',
      collect,
      [],
    )
    .option('--private', 'also where it resolves to private addresses')
    .option('--project', 'for all sandboxes of its repository');
  if (remove) rule.option('--deny', 'one that denies');
  rule.action(
    action(async (name: string, hosts: string[], options) =>
      (await import('./commands/policy.ts')).rule(
        options.deny ? 'deny' : effect,
        remove,
        name,
        hosts,
        options,
      ),
    ),
  );
}
under(policy, 'check <name> <url-or-host>', 'tell what the rules would say; nothing is sent', [
  'warren policy check demo https://api.example.com/v1/users',
  'warren policy check demo db.example.com:5432',
])
  .option('--method <method>', 'of the request', 'GET')
  .option('--json', 'as JSON')
  .action(
    action(async (name: string, what: string, options) =>
      (await import('./commands/policy.ts')).check(name, what, options),
    ),
  );
under(policy, 'learn <name>', 'propose rules for warren.json that would allow what was denied', [
  'warren policy learn demo',
])
  .option('--json', 'as JSON')
  .action(
    action(async (name: string, options) => (await import('./commands/policy.ts')).learn(name, options)),
  );
under(
  policy,
  'trust <name>',
  "let what the repository's warren.json asks for count, as long as it stays so",
  ['warren policy trust demo'],
)
  .option('-y, --yes', 'without asking')
  .option('--json', 'print what it asks for, and change nothing')
  .action(
    action(async (name: string, options) => (await import('./commands/policy.ts')).trust(name, options)),
  );
under(policy, 'watch <name>', 'be asked on this terminal about what no rule allows', [
  'warren policy watch demo',
]).action(action(async (name: string) => (await import('./commands/policy.ts')).watch(name)));

const secret = program
  .command('secret')
  .description('what the door puts into requests, and no sandbox ever has');
under(secret, 'add <name>', 'add or replace a secret', [
  'warren secret add GITHUB_TOKEN --host api.github.com --from env:GITHUB_TOKEN',
  'warren secret add API_KEY --host api.example.com        # asks for the value',
  "warren secret add NPM_TOKEN --host registry.npmjs.org --from 'cmd:pass show npm' --global",
])
  .requiredOption('--host <host>', 'where it belongs: a name, *.name or name:port (repeatable)', collect, [])
  .option('--from <source>', 'env:VARIABLE, file:PATH or cmd:COMMAND (default: asked for)')
  .option('--like <prefix>', 'what its placeholder begins with (default: by its host)')
  .option('--env-name <variable>', 'the variable of the guest (default: its name)')
  .option('--query', 'also in queries of URLs')
  .option('--body', 'also in bodies')
  .option('--global', 'for all sandboxes (default: for those of this repository)')
  .action(action(async (name: string, options) => (await import('./commands/secret.ts')).add(name, options)));
under(secret, 'ls', 'list the secrets, without their values', ['warren secret ls'])
  .option('--json', 'as JSON')
  .action(action(async (options) => (await import('./commands/secret.ts')).ls(options)));
under(secret, 'rm <name>', 'remove a secret', ['warren secret rm GITHUB_TOKEN'])
  .option('--global', 'one for all sandboxes')
  .action(action(async (name: string, options) => (await import('./commands/secret.ts')).rm(name, options)));

command('doctor', 'tell what this computer offers, and what is missing', ['warren doctor'])
  .option('--json', 'as JSON')
  .action(action(async (options) => (await import('./commands/doctor.ts')).doctor(options)));
const daemon = program
  .command('daemon')
  .description('the background process; commands start it by themselves');
for (const verb of ['start', 'stop', 'status'] as const) {
  under(
    daemon,
    verb,
    `${verb} ${verb === 'status' ? 'of the daemon' : 'the daemon (machines are not touched)'}`,
    [`warren daemon ${verb}`],
  )
    .option('--json', 'as JSON')
    .action(action(async (options) => (await import('./commands/daemon.ts')).daemon(verb, options)));
}
command('completion <shell>', 'print the completion script for bash or zsh', [
  'source <(warren completion bash)',
])
  .addHelpText('after', '\nFor zsh: source <(warren completion zsh)')
  .action(
    action(async (shell: string) => (await import('./commands/completion.ts')).completion(shell, program)),
  );
program
  .command('__complete', { hidden: true })
  .argument('[words...]')
  .passThroughOptions()
  .allowUnknownOption()
  .action(
    action(async (words: string[]) => (await import('./commands/completion.ts')).complete(words, program)),
  );

function examplesOf(verb: 'allow' | 'deny' | 'rm'): string[] {
  if (verb !== 'allow') return [`warren policy ${verb} demo example.com`];
  return [
    'warren policy allow demo api.example.com',
    'warren policy allow demo db.example.com:5432 --tcp',
    'warren policy allow demo api.example.com --method GET --path "/v1/*" --project',
    'warren policy allow demo --host-service 5432      # a port of this computer',
  ];
}

function command(usage: string, says: string, examples: string[]): Command {
  return under(program, usage, says, examples);
}

function under(parent: Command, usage: string, says: string, examples: string[]): Command {
  return parent
    .command(usage)
    .summary(says)
    .description(says)
    .addHelpText('before', `Examples:\n${examples.map((example) => `  ${example}`).join('\n')}\n`);
}

function networkOption(): Option {
  return new Option('--network <mode>', 'what may leave it (default: mediated, by the rules)').choices([
    'none',
    'mediated',
    'open',
  ]);
}

function sizeOption(flags: string, says: string): Option {
  return new Option(flags, says).argParser(parseCount);
}

function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new CommanderError(
    2,
    'usage.number',
    `error: cannot read the command: "${text}" is not a whole number`,
  );
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

/** Runs an action to its exit code; every error takes the one shape. */
// biome-ignore lint/suspicious/noExplicitAny: commander hands over what the flags declare
type Handed = any[];
function action(
  work: (...args: Handed) => Promise<number | undefined | void>,
): (...args: Handed) => Promise<void> {
  return async (...args) => {
    process.exitCode = (await work(...args)) ?? 0;
  };
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
});
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    const asked = ['commander.helpDisplayed', 'commander.version'].includes(error.code);
    if (error.code === 'usage.number') process.stderr.write(`${error.message}\n`);
    process.exitCode = asked ? 0 : 2;
  } else process.exitCode = printError(error);
}
await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
// Handles that an unfinished stream still holds must not keep a command from ending.
process.exit();

/** What was written has reached the reader, or there is none any more. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) resolve();
    else stream.once('close', resolve).write('', () => resolve());
  });
}
