// A signal that ends with the caller's or after a time, and says which. Not AbortSignal.any with a timeout: those
// are held weakly, and do not keep the process awake while a program hangs.

export interface Deadline {
  signal: AbortSignal;
  passed(): boolean;
  clear(): void;
}

export function startDeadline(outer: AbortSignal | undefined, timeoutMs: number): Deadline {
  const controller = new AbortController();
  let passed = false;
  const stop = () => controller.abort(outer?.reason);
  const timer = setTimeout(() => {
    passed = true;
    controller.abort();
  }, timeoutMs);
  if (outer?.aborted) stop();
  else outer?.addEventListener('abort', stop, { once: true });
  return {
    signal: controller.signal,
    passed: () => passed,
    clear: () => {
      clearTimeout(timer);
      outer?.removeEventListener('abort', stop);
    },
  };
}
