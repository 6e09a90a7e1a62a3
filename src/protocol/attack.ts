// What `warren doctor --attack` answers: each attack by the number of its case, what was tried, and whether it held.

export interface AttackView {
  /** `NE 31`: docs/SECURITY.md lists the cases. */
  id: string;
  tried: string;
  outcome: 'held' | 'broken' | 'not-run';
  /** One line. What was seen when it broke, why it did not run; words of a guest are in it, made visible. */
  says: string;
}

export interface AttackRequest {
  /** Takes a defence away on purpose, to see that this is noticed; null: none. */
  weaken: 'host-service' | null;
}
