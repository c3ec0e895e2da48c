import type { Observer } from '../execute/execute.ts';
import { explainJson, explainText } from '../explain/render.ts';
import { sys } from '../linux/sys.ts';

const O_WRONLY_CREAT_TRUNC = 0o1101;

/** Writes what `explain` shows, with the kernel's answer and the time that each step took. */
export function traceWriter(file: string, id: string, json: boolean): Observer {
  return (plan, report) => {
    const fd = sys.open(file, O_WRONLY_CREAT_TRUNC, 0o644);
    sys.writeText(fd, json ? explainJson(plan, report) : `container ${id}\n${explainText(plan, report)}`);
    sys.close(fd);
  };
}
