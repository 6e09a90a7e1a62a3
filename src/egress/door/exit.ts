// How a door process ends.

export const DOOR_EXIT = {
  /** Idle, told to, or its machine is gone. */
  done: 0,
  /** It never served: the reason is on stderr. */
  notOpened: 3,
};
