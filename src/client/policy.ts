// The SDK's calls about what may leave a sandbox, and what wanted to.

import type {
  Answer,
  AskView,
  AuditCheck,
  AuditRecordView,
  CheckResult,
  CommitAudit,
  PolicyView,
  ProposalView,
  RulesRequest,
  RulesResult,
  TrustView,
} from '../protocol/policy.ts';
import { callJson, callStreamed, sandboxPath } from './call.ts';
import type { Transport } from './transport.ts';

export function showPolicy(transport: Transport, name: string): Promise<PolicyView> {
  return callJson(transport, 'GET', `${sandboxPath(name)}/policy`);
}

export function changeRules(transport: Transport, name: string, request: RulesRequest): Promise<RulesResult> {
  return callJson(transport, 'POST', `${sandboxPath(name)}/policy/rules`, request);
}

/** `what`: a URL, or a host with a port or without. */
export function checkPolicy(
  transport: Transport,
  name: string,
  what: string,
  method: string,
): Promise<CheckResult> {
  return callJson(transport, 'POST', `${sandboxPath(name)}/policy/check`, { what, method });
}

export function proposeRules(transport: Transport, name: string): Promise<ProposalView> {
  return callJson(transport, 'GET', `${sandboxPath(name)}/policy/proposal`);
}

export function showTrust(transport: Transport, name: string): Promise<TrustView> {
  return callJson(transport, 'GET', `${sandboxPath(name)}/policy/trust`);
}

/** `digest`: of the `TrustView` that a person has seen. */
export async function giveTrust(transport: Transport, name: string, digest: string): Promise<void> {
  await callJson(transport, 'POST', `${sandboxPath(name)}/policy/trust`, { digest });
}

/** Until `signal`, or the end of the sandbox: doors ask, and each change of what waits is told. */
export async function watchQuestions(
  transport: Transport,
  name: string,
  onChange: (pending: AskView[]) => void,
  signal: AbortSignal,
): Promise<void> {
  await callStreamed(transport, `${sandboxPath(name)}/questions`, {}, { signal, onEvent: onChange });
}

/** False when nobody waits for it any more. */
export function answerQuestion(
  transport: Transport,
  name: string,
  id: number,
  answer: Answer,
): Promise<boolean> {
  return callJson(transport, 'POST', `${sandboxPath(name)}/questions/${id}`, { answer });
}

export interface AuditOptions {
  follow: boolean;
  denied: boolean;
  /** Only the newest, so many. */
  tail?: number | null;
  signal?: AbortSignal;
}

/** Oldest first; with `follow` it goes on until `signal`. */
export async function readAudit(
  transport: Transport,
  name: string,
  { follow, denied, tail = null, signal }: AuditOptions,
  onRecord: (record: AuditRecordView) => unknown,
): Promise<void> {
  const options = { onEvent: onRecord, ...(signal && { signal }) };
  await callStreamed(transport, `${sandboxPath(name)}/audit`, { follow, denied, tail }, options);
}

/** The records of what made a commit; `path`: in its repository. */
export async function readCommitAudit(
  transport: Transport,
  question: { path: string; revision: string; denied: boolean },
  signal: AbortSignal,
  onRecord: (record: AuditRecordView) => unknown,
): Promise<CommitAudit> {
  return await callStreamed(transport, '/v1/commits/audit', question, { signal, onEvent: onRecord });
}

export function verifyAudit(transport: Transport, name: string): Promise<AuditCheck> {
  return callJson(transport, 'GET', `${sandboxPath(name)}/audit/verify`);
}
