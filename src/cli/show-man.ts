import { sys } from '../linux/sys.ts';
import { version } from '../version.gen.ts';
import { manualPage } from './man.ts';

export function showMan(): number {
  sys.writeText(1, manualPage(version));
  return 0;
}
