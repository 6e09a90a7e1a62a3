// The conductor: the sandboxes, and what serves them. It is the only room that knows the others.

import { sandboxFiles, secretsFile } from '../host/layout.ts';
import type { WarrenError } from '../protocol/error.ts';
import { Forwards } from './forwards.ts';
import { Doors } from './network/doors.ts';
import type { Rooms } from './rooms.ts';
import { Sandboxes } from './sandboxes.ts';
import { SecretKeeper } from './secrets.ts';
import { Templates } from './templates.ts';

export class Conductor extends Sandboxes {
  readonly rooms: Rooms;
  readonly templates: Templates;
  readonly secrets: SecretKeeper;
  readonly forwards: Forwards;
  readonly doors: Doors;
  /** Records that could not be read when the daemon started. */
  unreadable: WarrenError[] = [];

  constructor(rooms: Rooms) {
    super(rooms.layout);
    this.rooms = rooms;
    this.templates = new Templates(rooms);
    this.secrets = new SecretKeeper({
      store: secretsFile(rooms.layout),
      placeholders: (id) => sandboxFiles(rooms.layout, id).placeholders,
    });
    this.forwards = new Forwards(this, rooms.closedHostPorts);
    this.doors = new Doors({
      sandboxes: this,
      secrets: this.secrets,
      templates: this.templates,
      closedHostPorts: rooms.closedHostPorts,
      program: rooms.door,
      downloads: rooms.storeFolders.downloads,
    });
    this.secrets.onChanged((root) => this.doors.secretsChanged(root));
    this.on('changed', (sandbox) => {
      if (sandbox.record.state !== 'running') this.forwards.dropConnections(sandbox);
    });
    this.on('forgotten', (sandbox) => {
      this.forwards.forget(sandbox);
      this.doors.forget(sandbox.record.id);
    });
  }
}
