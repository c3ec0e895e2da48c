import { sys } from '../linux/sys.ts';

/** Undefined where it is not set, or empty. */
export function variable(name: string): string | undefined {
  const value = sys
    .environment()
    .find((entry) => entry.startsWith(`${name}=`))
    ?.slice(name.length + 1);
  return value === '' ? undefined : value;
}
