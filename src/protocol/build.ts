// What a person says of an environment that has to be built.

/** Engines of the user that can build in place of a builder machine. */
export type Engine = 'docker' | 'podman' | 'buildah';

/** How an environment is built that has to be built. */
export interface BuildWish {
  /** null: a builder machine. */
  builder: Engine | null;
  /** `--build-arg`. */
  args: Record<string, string>;
  target: string | null;
  /** `--build-context`: an absolute folder, or `docker-image://REFERENCE`. */
  contexts: Record<string, string>;
  /** `--secret`, by id; base64. They are kept nowhere. */
  secrets: Record<string, string>;
  /** `--ssh`, by id: the socket of an SSH agent, absolute. */
  ssh: Record<string, string>;
  /** Every step runs. */
  noCache: boolean;
  /** A RUN that fails stays open until it is released. */
  debug: boolean;
}

/** A RUN that failed, in a machine that waits. */
export interface FailedStepView {
  id: string;
  /** Which it was, how it ended, its last words. */
  says: string;
  user: string;
  workdir: string;
  env: Record<string, string>;
}
