export { chooseEnvironment, isDockerfile } from './choose.ts';
export {
  type DefaultEnvironment,
  type DockerfileEnvironment,
  defaultEnvironment,
  type Environment,
} from './environment.ts';
export { formatReference, isLoopbackRegistry, type Reference } from './reference.ts';
