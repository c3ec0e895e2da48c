// The program inside dist/tsrun.

import { sys } from '../linux/sys.ts';
import { main } from './main.ts';

sys.exit(await main(sys.args().slice(1)));
