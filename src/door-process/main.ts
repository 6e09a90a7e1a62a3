// The door's process: one for one machine, a child of the daemon. It knows the secrets of this one machine and
// nothing of others; a crash of it resets the machine's connections and is noticed by the daemon.

import { DOOR_EXIT } from '../egress/door/exit.ts';
import type { FromDoor, ToDoor } from '../egress/door/messages.ts';
import { openDoor, type RunningDoor } from './door.ts';

const send = (message: FromDoor) => {
  if (process.connected) process.send!(message);
};
let door: Promise<RunningDoor> | undefined;

process.once('disconnect', async () => {
  const opened = await door?.catch(() => undefined);
  await opened?.close();
  process.exit(DOOR_EXIT.done);
});
process.on('message', (message: ToDoor) => {
  if (message.type === 'config') {
    door = openDoor(message, send);
    door.then(
      async ({ ended }) => {
        send({ type: 'ready' });
        await ended;
        process.exit(DOOR_EXIT.done);
      },
      (error: unknown) => {
        console.error(`warren door: ${error instanceof Error ? error.message : 'it could not be opened'}`);
        process.exit(DOOR_EXIT.notOpened);
      },
    );
  } else
    void door?.then(
      (opened) => opened.told(message),
      () => {},
    );
});
