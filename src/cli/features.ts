import { features } from '../features.ts';
import { sys } from '../linux/sys.ts';

/** runc's form: four spaces, and a newline at the end. */
export function showFeatures(): number {
  sys.writeText(1, `${JSON.stringify(features(), null, 4)}\n`);
  return 0;
}
