// What Stats answers. Few shims are ever asked, and the tables are long: scripts/cold.mjs has this read late.

import { type Any, pack } from '../proto/well-known.ts';
import { readStats } from '../stats/read.ts';
import { Metrics } from './messages/metrics.ts';
import { metricsOf } from './metrics.ts';

/** What a cgroup uses, as `io.containerd.cgroups.v2.Metrics`. */
export function statsOf(cgroup: string): Any {
  return pack(Metrics, metricsOf(readStats(cgroup)));
}
