// The command line: names, flags and help. Each action loads its own file, so that `ls` does not pay for `up`.

import { Command, CommanderError } from 'commander';
import { version } from '../host/build.ts';
import { action, collect, helpFor, networkOption, optionDescription, parseCount, under } from './declare.ts';
import { declareNetwork } from './declare-network.ts';
import { withEnvironmentFlags } from './environment-flags.ts';
import { printError, say } from './terminal.ts';

const program = new Command('warren')
  .description(
    'A microVM with a copy of your git repository, for you and for every agent that works for you.',
  )
  .version(version, '-V, --version')
  .showSuggestionAfterError()
  .configureHelp({ optionDescription })
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

withEnvironmentFlags(
  command('up [path]', 'start a sandbox with a copy of the repository, and open a shell in it', [
    'warren up',
    'warren up --name review --memory 4096 ../other-repo',
    'warren up --env ./Dockerfile --target dev',
  ]),
)
  .option('--name <name>', 'what to call it (default: after the repository)')
  .addOption(networkOption())
  .option('-d, --detach', 'do not open a shell')
  .option('--json', 'print the sandbox as JSON; implies --detach')
  .action(
    action(async (path: string | undefined, options) => (await import('./commands/up.ts')).up(path, options)),
  );

withEnvironmentFlags(
  command('run', 'run one command in a fresh sandbox', [
    'warren run --rm -- npm test',
    'warren run --rm --no-repo -- uname -a',
    'warren run --rm --no-repo --env docker.io/library/debian:bookworm -- cat /etc/os-release',
  ]),
)
  .argument('<command...>')
  .passThroughOptions()
  .option('--name <name>', 'what to call the sandbox')
  .option('--rm', 'remove the sandbox afterwards, unless work would be lost')
  .option('--no-repo', 'without a repository')
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
command('logs <name>', "print what the machine's console said", [
  'warren logs demo',
  'warren logs demo --lifecycle',
])
  .option('--lifecycle', 'what the commands of its devcontainer.json said instead')
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
under(template, 'show <name>', 'tell everything about a template', [
  'warren template show 3f9c1d',
  'warren template show ./Dockerfile',
])
  .option('--json', 'as JSON')
  .action(
    action(async (name: string, options) => (await import('./commands/template.ts')).show(name, options)),
  );
withEnvironmentFlags(
  under(template, 'build', 'build the template for an environment and a size now', [
    'warren template build --memory 2048',
    'warren template build --env debian:trixie --pull',
    'warren template build --env ./Dockerfile --build-arg VERSION=2 --progress plain',
  ]),
)
  .option('--pull', 'look the image up again, though its name is known')
  .option('--json', 'as JSON')
  .action(action(async (options) => (await import('./commands/template.ts')).build(options)));
under(template, 'rm [ids...]', 'remove templates that no sandbox lies over', ['warren template rm --all'])
  .option('--all', 'all that are not in use')
  .action(
    action(async (ids: string[], options) => (await import('./commands/template.ts')).rm(ids, options)),
  );
declareNetwork(program);
command('prune', 'remove what nothing needs: templates, images, kernels, caches and downloads', [
  'warren prune --dry-run',
  'warren prune --older-than 7d',
  'warren prune --keep-storage 20GiB',
])
  .option('-a, --all', 'also what the next `up` would use')
  .option('--older-than <age>', 'what was not used for so long, such as 7d or 12h30m')
  .option('--filter <until=age>', 'as --older-than, in the words of docker', collect, [])
  .option('--keep-storage <size>', 'what was used longest ago, until so much is left, such as 20GiB')
  .option('-n, --dry-run', 'tell what would go, and remove nothing')
  .option('--json', 'as JSON')
  .action(action(async (options) => (await import('./commands/prune.ts')).prune(options)));

command('doctor', 'tell what this computer offers, and what is missing', [
  'warren doctor',
  'warren doctor --attack',
])
  .option('--attack', 'attack a sandbox of this installation from inside, and tell what held')
  .option(
    '--weaken <defence>',
    'with --attack: without this defence (host-service), to see that it is noticed',
  )
  .option('--json', 'as JSON')
  .action(
    action(async (options) =>
      options.attack
        ? (await import('./commands/attack.ts')).attack(options)
        : (await import('./commands/doctor.ts')).doctor(options),
    ),
  );
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

function command(usage: string, says: string, examples: string[]): Command {
  return under(program, usage, says, examples);
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
    if (!asked && error.code !== 'commander.help') say(`  try: ${helpFor(program, process.argv.slice(2))}`);
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
