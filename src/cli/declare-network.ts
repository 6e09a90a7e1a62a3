// The commands about the network of sandboxes: forwards, audit, policy, secrets.

import type { Command } from 'commander';
import { action, collect, parseCount, under } from './declare.ts';

export function declareNetwork(program: Command): void {
  const forward = under(
    program,
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
  const audit = under(program, 'audit <name>', 'tell what wanted out of a sandbox, and what became of it', [
    'warren audit demo --denied',
    'warren audit demo --follow --tail 20',
    'warren audit verify demo',
    'warren audit commit HEAD',
  ])
    .option('-f, --follow', 'go on with what comes')
    .option('--denied', 'only what was not let through')
    .option('-n, --tail <count>', 'only the newest records', parseCount)
    .option('--json', 'a JSON object a line')
    .action(
      action(async (name: string, options) => (await import('./commands/audit.ts')).audit(name, options)),
    );
  under(audit, 'commit <revision>', 'tell what wanted out to make a commit that came home', [
    'warren audit commit HEAD',
    'warren audit commit main~3 --denied',
  ])
    .option('--denied', 'only what was not let through')
    .option('--json', 'a JSON object a line; the last is about the commit')
    .action(
      action(async (revision: string, _options, self: Command) =>
        (await import('./commands/audit.ts')).commit(revision, self.optsWithGlobals()),
      ),
    );
  under(audit, 'verify <name>', 'check that no record was changed, left out, put in or cut off', [
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
    ['deny', 'deny', false, 'deny a host, or of it what the flags say, whatever allows it'],
    ['rm', 'allow', true, 'take away a rule that was allowed, or with --deny denied'],
  ] as const) {
    const rule = under(policy, `${verb} <name> [hosts...]`, says, examplesOf(verb));
    declareRule(rule, verb);
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
      action(async (name: string, options) => (await import('./commands/trust.ts')).trust(name, options)),
    );
  under(policy, 'watch <name>', 'be asked on this terminal about what no rule allows', [
    'warren policy watch demo',
  ]).action(action(async (name: string) => (await import('./commands/watch.ts')).watch(name)));

  const secret = program
    .command('secret')
    .description('what the door puts into requests, and no sandbox ever has');
  under(secret, 'add <name>', 'add or replace a secret', [
    'warren secret add GITHUB_TOKEN --host api.github.com --from env:GITHUB_TOKEN',
    'warren secret add API_KEY --host api.example.com        # asks for the value',
    "warren secret add NPM_TOKEN --host registry.npmjs.org --from 'cmd:pass show npm' --global",
  ])
    .requiredOption(
      '--host <host>',
      'where it belongs: a name, *.name or name:port (repeatable)',
      collect,
      [],
    )
    .option('--from <source>', 'env:VARIABLE, file:PATH or cmd:COMMAND (default: asked for)')
    .option('--like <prefix>', 'what its placeholder begins with (default: by its host)')
    .option('--env-name <variable>', 'the variable of the guest (default: its name)')
    .option('--query', 'also in queries of URLs')
    .option('--body', 'also in bodies')
    .option('--global', 'for all sandboxes (default: for those of this repository)')
    .action(
      action(async (name: string, options) => (await import('./commands/secret.ts')).add(name, options)),
    );
  under(secret, 'ls', 'list the secrets, without their values', ['warren secret ls'])
    .option('--json', 'as JSON')
    .action(action(async (options) => (await import('./commands/secret.ts')).ls(options)));
  under(secret, 'rm <name>', 'remove a secret', ['warren secret rm GITHUB_TOKEN'])
    .option('--global', 'one for all sandboxes')
    .action(
      action(async (name: string, options) => (await import('./commands/secret.ts')).rm(name, options)),
    );
}

/** `deny` has no flags for what only loosens. */
function declareRule(rule: Command, verb: 'allow' | 'deny' | 'rm'): void {
  rule
    .option('--http', `plain HTTP${verb === 'allow' ? ' (default: https; port 80 is always plain)' : ''}`)
    .option('--tcp', 'any protocol: nobody looks into it')
    .option('--tls-passthrough', 'TLS that nobody looks into, to this name alone')
    .option('--method <method>', 'only this method (repeatable)', collect, [])
    .option('--path <pattern>', 'only this path, such as /v1/* (repeatable)', collect, []);
  if (verb !== 'deny')
    rule
      .option('--git-fetch', 'only git, to fetch and clone')
      .option('--git-push <refs>', 'only git, to push to these, such as refs/heads/warren/*')
      .option(
        '--host-service <port>',
        'a port of this computer, as host.warren.internal (repeatable)',
        collect,
        [],
      )
      .option('--private', 'also where it resolves to private addresses');
  rule.option('--project', 'for all sandboxes of its repository');
}

function examplesOf(verb: 'allow' | 'deny' | 'rm'): string[] {
  if (verb !== 'allow') return [`warren policy ${verb} demo example.com`];
  return [
    'warren policy allow demo api.example.com',
    'warren policy allow demo db.example.com:5432 --tcp',
    'warren policy allow demo api.example.com --method GET --path "/v1/*" --project',
    'warren policy allow demo --host-service 5432      # a port of this computer',
  ];
}
