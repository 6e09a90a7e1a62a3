// What CLI, daemon and SDK say of secrets. A value only ever travels from the CLI to the daemon.

export interface SecretAddRequest {
  name: string;
  /** A folder of the repository whose sandboxes get it; null for all sandboxes. */
  path: string | null;
  hosts: string[];
  /** `env:X`, `file:P`, `cmd:…`; null: asked. */
  from: string | null;
  /** Of `env:X` and of an asked one; kept in the daemon's memory only. */
  value: string | null;
  /** What its placeholder begins with; null: by its hosts. */
  like: string | null;
  /** The guest's variable; null: its name. */
  variable: string | null;
  query: boolean;
  body: boolean;
}

export interface SecretView {
  name: string;
  /** The root of its repository; null for all sandboxes. */
  root: string | null;
  hosts: string[];
  from: string | null;
  variable: string;
  /** What its placeholders begin with. */
  like: string;
  query: boolean;
  body: boolean;
  /** Whether the daemon holds its value; null when a door reads it by itself. */
  known: boolean | null;
}
