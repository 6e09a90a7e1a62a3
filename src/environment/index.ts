export { defaultEnvironment, type Environment } from './environment.ts';
