// The library, for Node: import { Runtime } from 'tsrun'.

import './node/door.ts';

export type { HostFacts } from './plan/host.ts';
export type { Plan } from './plan/plan.ts';
export { TsrunError, ConfigError } from './errors.ts';
export { Runtime, type CreateOptions, type RunOptions, type RuntimeOptions } from './runtime.ts';
export type { ContainerState } from './state/container.ts';
