// `--debug`: a shell where a step of a build failed, as the step ran. The build ends as it would have when the shell ends.

import type { Client } from '../client/client.ts';
import type { FailedStepView } from '../protocol/build.ts';
import { WarrenError } from '../protocol/error.ts';
import { sanitize } from '../protocol/sanitize.ts';
import { attachBuild } from './attach-session.ts';
import { terminalEnvironment, terminalSize } from './pty.ts';
import { say } from './terminal.ts';

const SHELL = 'if [ -x /bin/bash ]; then exec /bin/bash -i; else exec /bin/sh -i; fi';

export async function openDebugShell(client: Client, step: FailedStepView): Promise<void> {
  say(sanitize(step.says));
  say('a shell where it failed, as the step ran; what is changed there is not kept. `exit` ends the build');
  try {
    await attachBuild(client.transport, step.id, {
      command: '/bin/sh',
      args: ['-c', SHELL],
      cwd: step.workdir,
      user: step.user,
      pty: terminalSize(),
      stdin: true,
      env: { ...step.env, ...terminalEnvironment() },
    });
  } catch (error) {
    say(`cannot open a shell there: ${sanitize(WarrenError.from(error).message)}`);
  }
  // The build may be over already.
  await client.releaseFailedStep(step.id).catch(() => {});
}
