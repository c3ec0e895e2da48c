// The little of Node that its form of tsrun needs; no other file may use it.
declare module 'node:module' {
  export function createRequire(url: string): (path: string) => unknown;
}
interface ImportMeta {
  readonly url: string;
}
