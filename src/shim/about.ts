// `-v` and `-info`: what this shim is.

import { features } from '../features.ts';
import { sys } from '../linux/sys.ts';
import { encodeText } from '../linux/utf8.ts';
import { decode } from '../proto/decode.ts';
import { encode } from '../proto/encode.ts';
import { Any } from '../proto/well-known.ts';
import { commit, version } from '../version.gen.ts';
import { readInput } from './bootstrap-input.ts';
import { RuntimeInfo } from './messages/bootstrap.ts';
import { typeUrls } from './messages/options.ts';

export function showVersion(): number {
  sys.writeText(1, `containerd-shim-tsrun-v2:\n  Version:  ${version}\n  Revision: ${commit}\n`);
  return 0;
}

export function showInfo(): number {
  const input = readInput(0);
  const info = encode(RuntimeInfo, {
    name: 'io.containerd.tsrun.v2',
    version: { version, revision: commit },
    options: input.length === 0 ? undefined : decode(Any, input),
    features: { typeUrl: typeUrls.features, value: encodeText(JSON.stringify(features())) },
  });
  sys.write(1, info);
  return 0;
}
