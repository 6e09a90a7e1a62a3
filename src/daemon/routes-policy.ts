// The part of the API about what may leave a sandbox: its rules, trust, and questions of its door.

import * as v from 'valibot';
import { ANSWERS } from '../protocol/policy.ts';
import { answerQuestion, changeRules, trust, trustView } from '../sandbox/network/change.ts';
import { propose } from '../sandbox/network/learn.ts';
import { check, policyView } from '../sandbox/network/look.ts';
import { parse } from './parse.ts';
import type { Call, Route } from './route.ts';

const word = v.pipe(v.string(), v.maxLength(2048));
const words = v.pipe(v.array(word), v.maxLength(64));

const rulesSchema = v.object({
  effect: v.picklist(['allow', 'deny']),
  scope: v.picklist(['sandbox', 'project']),
  remove: v.boolean(),
  hosts: words,
  hostServices: v.pipe(v.array(v.number()), v.maxLength(64)),
  protocol: v.nullable(v.picklist(['http', 'tcp', 'tls-passthrough'])),
  methods: words,
  paths: words,
  git: v.optional(v.nullable(v.object({ fetch: v.boolean(), push: v.nullable(word) })), null),
  allowPrivate: v.boolean(),
});
const checkSchema = v.object({
  what: word,
  method: word,
});
const trustSchema = v.object({ digest: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'no digest')) });
const answerSchema = v.object({ answer: v.picklist(ANSWERS) });

const sandboxOf = ({ conductor, params }: Call) => conductor.get(params['name']!);

export const policyRoutes: Route[] = [
  {
    method: 'GET',
    path: '/v1/sandboxes/:name/policy',
    handle: (call) => policyView(call.conductor, sandboxOf(call)),
  },
  {
    method: 'POST',
    path: '/v1/sandboxes/:name/policy/rules',
    handle: (call) => changeRules(call.conductor, sandboxOf(call), parse(rulesSchema, call.body)),
  },
  {
    method: 'POST',
    path: '/v1/sandboxes/:name/policy/check',
    handle: (call) => {
      const { what, method } = parse(checkSchema, call.body);
      return check(call.conductor, sandboxOf(call), what, method);
    },
  },
  {
    method: 'GET',
    path: '/v1/sandboxes/:name/policy/proposal',
    handle: (call) => propose(call.conductor, sandboxOf(call)),
  },
  {
    method: 'GET',
    path: '/v1/sandboxes/:name/policy/trust',
    handle: (call) => trustView(call.conductor, sandboxOf(call)),
  },
  {
    method: 'POST',
    path: '/v1/sandboxes/:name/policy/trust',
    handle: (call) => trust(call.conductor, sandboxOf(call), parse(trustSchema, call.body).digest),
  },
  {
    // As long as somebody reads this, doors ask. Each line is all that waits now.
    method: 'POST',
    path: '/v1/sandboxes/:name/questions',
    streamed: true,
    handle: async (call) => {
      const { doors } = call.conductor;
      const { id } = sandboxOf(call).record;
      const questions = doors.questions(id);
      const stop = questions.watch((pending) => void call.emit(pending));
      doors.askingChanged(id);
      const { promise: left, resolve } = Promise.withResolvers<void>();
      call.signal.addEventListener('abort', () => resolve(), { once: true });
      await Promise.race([left, questions.ended]);
      stop();
      doors.askingChanged(id);
    },
  },
  {
    method: 'POST',
    path: '/v1/sandboxes/:name/questions/:id',
    handle: (call) =>
      answerQuestion(
        call.conductor,
        sandboxOf(call),
        Number(call.params['id']),
        parse(answerSchema, call.body).answer,
      ),
  },
];
