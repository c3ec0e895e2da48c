/**
 * Frees what only refers to itself, which QuickJS as it is built here never does unasked (native/engine/main.c): a
 * command ends before it matters. Nothing under Node, which does.
 */
export function collectGarbage(): void {
  (globalThis as unknown as { tsrunCollect?: () => void }).tsrunCollect?.();
}
