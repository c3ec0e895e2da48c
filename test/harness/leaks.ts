// What a container may leave behind on the host, found by its id and its bundle; and the broom for it.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupRoot } from './cgroups.ts';
import { runtime } from './runtime.ts';
import { quietly, sleepSync, slowness } from './wait.ts';

export interface Traces {
  id: string;
  bundle: string;
  stateRoot: string;
  tmp: string;
}

export function hostMounts(): string[] {
  // Other test files run at the same time and mount below their own scratch directories, which carry their pid.
  const ours = `tsrun-test-${process.pid}-`;
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n');
  return lines.filter((line) => !line.includes('/tsrun-test-') || line.includes(ours));
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Processes come and go while /proc is read.
    return '';
  }
}

// The environment tells of runtime helpers, the mounts of container processes, whatever they did to their environment.
export function processesOf({ id, bundle }: Pick<Traces, 'id' | 'bundle'>): number[] {
  const pids = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  return pids.filter((pid) => {
    if (pid === process.pid) return false;
    return (
      read(`/proc/${pid}/environ`).includes(`TSRUN_TEST=${id}\0`) ||
      read(`/proc/${pid}/mountinfo`).includes(`${bundle}/rootfs `)
    );
  });
}

export function cgroupsOf(id: string, dir = cgroupRoot): string[] {
  let found: string[] = [];
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const path = join(dir, entry.name);
    if (entry.name.includes(id)) found.push(path);
    // Another file's container may take its cgroup away under our feet.
    if (existsSync(path)) found = found.concat(quietly(() => cgroupsOf(id, path)) ?? []);
  }
  return found;
}

function stateOf({ id, stateRoot }: Traces): string[] {
  const places = [`/run/${runtime.family}`, `/run/user/0/${runtime.family}`]
    .map((root) => join(root, id))
    .filter((path) => existsSync(path));
  if (!existsSync(stateRoot)) return places;
  const names = readdirSync(stateRoot, { recursive: true, encoding: 'utf8' });
  return places.concat(names.filter((name) => name.includes(id)).map((name) => join(stateRoot, name)));
}

// A runtime that gives stdio to the container's user must not give the host's null device away with it.
function nullDeviceDamage(): string[] {
  const { uid, gid, mode } = statSync('/dev/null');
  return uid === 0 && gid === 0 && (mode & 0o777) === 0o666
    ? []
    : [`/dev/null now is ${uid}:${gid} ${(mode & 0o777).toString(8)}`];
}

// Debian 12's crun leaves the cgroup whenever a create fails: known, and no reason to judge less of it otherwise.
const toleratesCgroups = runtime.family === 'crun';

function leaksOf(traces: Traces, mountsBefore: string[]): string[] {
  const mountsNow = hostMounts();
  return [
    ...processesOf(traces).map((pid) => `process ${pid}: ${read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')}`),
    ...stateOf(traces).map((path) => `state ${path}`),
    ...(toleratesCgroups ? [] : cgroupsOf(traces.id)).map((path) => `cgroup ${path}`),
    ...mountsNow.filter((line) => !mountsBefore.includes(line)).map((line) => `new host mount ${line}`),
    ...mountsBefore.filter((line) => !mountsNow.includes(line)).map((line) => `lost host mount ${line}`),
    ...nullDeviceDamage(),
    ...readdirSync(traces.tmp).map((name) => `temporary file ${name}`),
    ...readdirSync(traces.bundle)
      .filter((name) => name !== 'config.json' && name !== 'rootfs')
      .map((name) => `file in the bundle ${name}`),
  ];
}

// The last processes of a killed container need a moment to be reaped by whoever inherited them.
export function lastingLeaksOf(traces: Traces, mountsBefore: string[]): string[] {
  const deadline = Date.now() + 1000 * slowness;
  for (;;) {
    const leaks = leaksOf(traces, mountsBefore);
    if (leaks.length === 0 || Date.now() > deadline) return leaks;
    sleepSync(10);
  }
}

// One leak must fail one test, not all that follow.
export function sweep(traces: Traces): void {
  for (const pid of processesOf(traces)) quietly(() => process.kill(pid, 'SIGKILL'));
  const points = hostMounts()
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.includes(traces.id));
  for (const point of points.reverse()) spawnSync('umount', ['--lazy', point]);
  // A cgroup is busy until the last of the killed is reaped.
  for (let tries = 0; tries < 50 && cgroupsOf(traces.id).length > 0; tries += 1) {
    for (const cgroup of cgroupsOf(traces.id).reverse()) quietly(() => rmdirSync(cgroup));
    if (cgroupsOf(traces.id).length > 0) sleepSync(10);
  }
}
