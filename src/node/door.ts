// Opens the door to the kernel under Node: the addon beside the compiled files.

import { createRequire } from 'node:module';

(globalThis as unknown as { tsrunSys: unknown }).tsrunSys = createRequire(import.meta.url)('../tsrun.node');
