// The one error shape of the project. Codes, not classes, cross the wire; every message says what, which
// and why, and the remedy is one sentence with a command to paste.

/** `room.reason`, kebab-case: `machine.kvm-denied`, `repo.not-a-repository`. Stable: programs match on it. */
export type ErrorCode = `${string}.${string}`;

export interface ErrorShape {
  code: ErrorCode;
  message: string;
  remedy?: string;
  /** A file that tells more, as an absolute path. */
  log?: string;
  details?: Record<string, unknown>;
}

export class WarrenError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string | undefined;
  readonly log: string | undefined;
  readonly details: Record<string, unknown> | undefined;

  constructor(shape: ErrorShape, options?: { cause?: unknown }) {
    super(shape.message, options);
    this.name = 'WarrenError';
    this.code = shape.code;
    this.remedy = shape.remedy;
    this.log = shape.log;
    this.details = shape.details;
  }

  toJSON(): ErrorShape {
    return {
      code: this.code,
      message: this.message,
      ...(this.remedy !== undefined && { remedy: this.remedy }),
      ...(this.log !== undefined && { log: this.log }),
      ...(this.details !== undefined && { details: this.details }),
    };
  }

  static from(cause: unknown, code: ErrorCode = 'daemon.internal'): WarrenError {
    if (cause instanceof WarrenError) return cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    return new WarrenError({ code, message }, { cause });
  }
}

/** Mistakes of the caller answer with exit code 2 (usage); everything else with 1. */
export function isUsageError(code: ErrorCode): boolean {
  return code.startsWith('usage.');
}
