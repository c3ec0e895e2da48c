// The one import of a native test.
export { expect } from 'vitest';
export * from './cgroups.ts';
export * from './config.ts';
export { Container, container, inside, type Result, type State, scratch, stateRoot } from './container.ts';
export { hugePages, nullDisk, swapInMemory, tunDevice, weighingDisk, withUserAttributes } from './devices.ts';
export * from './facts.ts';
export { holder, userHolder } from './holder.ts';
export { controllers } from './host.ts';
export { cgroupsOf, processesOf } from './leaks.ts';
export { probe } from './rootfs.ts';
export { programFiles, projectDir, runtime } from './runtime.ts';
export { test } from './test.ts';
export { quietly, until } from './wait.ts';
