// A flow whose requests are read, one by one.

import type { FlowContext } from '../flow/context.ts';
import type { Origins } from './origins.ts';

export interface HttpFlow {
  flow: FlowContext;
  protocol: 'http' | 'https';
  origins: Origins;
}
