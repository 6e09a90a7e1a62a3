// What the pipeline asks of kept downloads. A request that was allowed may be answered from them, and an answer may be
// kept for others; whoever keeps them decides which, and nothing here changes what a guest is allowed.

import type { Writable } from 'node:stream';
import type { Grant, RequestHead, Target } from '../policy/verdict.ts';
import type { Outgoing, Response, ResponseHead } from './call.ts';
import type { HeaderList } from './headers.ts';

export interface Considered {
  protocol: 'http' | 'https';
  target: Target;
  grant: Grant;
  /** As it would be sent, without secrets. */
  head: RequestHead;
}

export interface KeptAnswer extends Pick<Response, 'body'> {
  head: ResponseHead;
}

/** One request for something that may be kept, or that tells digests of what may be. */
export interface Download {
  /** What is kept, whole and verified; null when there is nothing that fits. Never rejects. */
  find(): Promise<KeptAnswer | null>;
  /** Headers that go upstream instead of the guest's, so that the answer depends on nothing that it wrote but the path. */
  headers: HeaderList | null;
  /**
   * Called before the origin's answer is passed on, which goes on as it is, whatever becomes of the copy: what is answered
   * here gets its bytes too.
   */
  watch(response: Response): Writable | null;
}

export interface DownloadCache {
  /** Null for everything else: the usual case, and quick. */
  consider(request: Considered): Download | null;
  /** Resolves once what is being written is kept or dropped. */
  settled(): Promise<void>;
}

export function withHeaders(outgoing: Outgoing, download: Download | null): Outgoing {
  return download?.headers ? { ...outgoing, headers: download.headers, spelling: new Map() } : outgoing;
}
