export { chooseEnvironment } from './choose.ts';
export { type DefaultEnvironment, defaultEnvironment, type Environment } from './environment.ts';
export { formatReference, isLoopbackRegistry, type Reference } from './reference.ts';
