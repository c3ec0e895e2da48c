// Socket activation: sd_listen_fds(3).

/** More is no count of sockets but a mistake. */
const MOST = 1 << 16;

/**
 * The sockets that were passed to this process, and how the container's first process is told of them. It is process 1
 * of its pid namespace.
 * @param pid Of this process; sockets that were meant for another are not passed on.
 */
export function activation(environment: readonly string[], pid: number): { count: number; env: readonly string[] } {
  const value = (name: string) => environment.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
  const text = value('LISTEN_FDS');
  if (text === undefined) return { count: 0, env: [] };
  const count = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0;
  if (count === 0 || count > MOST || value('LISTEN_PID') !== String(pid)) return { count: 0, env: [] };
  const names = value('LISTEN_FDNAMES');
  return {
    count,
    env: [`LISTEN_FDS=${count}`, 'LISTEN_PID=1', ...(names === undefined ? [] : [`LISTEN_FDNAMES=${names}`])],
  };
}
