// scripts/vm as its callers see it: what goes in, what comes out, and that nothing stays.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../harness/wait.ts';

const script = resolve(import.meta.dirname, '../../scripts/vm');

function vm(args: string[], input: Buffer = Buffer.alloc(0)): { code: number | null; out: Buffer; err: string } {
  const { status, stdout, stderr } = spawnSync(script, args, { input, maxBuffer: 1 << 26 });
  return { code: status, out: stdout, err: stderr.toString() };
}

test('output, error output and the exit code are those of the command', () => {
  const { code, out, err } = vm(['--', 'sh', '-c', 'echo out; echo err >&2; exit 7']);
  expect({ code, out: out.toString(), err }).toEqual({ code: 7, out: 'out\n', err: 'err\n' });
});

test('a command that a signal ends gives 128 and its number', () => {
  expect(vm(['--', 'sh', '-c', 'kill -KILL $$']).code).toBe(137);
});

test('a command that is not there gives 127', () => {
  expect(vm(['--', 'no-such-command'])).toMatchObject({ code: 127, err: expect.stringContaining('no-such-command') });
});

test('two megabytes of any bytes go in and come out as they were', () => {
  const bytes = randomBytes(2_000_000);
  expect(vm(['--', 'cat'], bytes).out.equals(bytes)).toBe(true);
});

test('every controller is there', () => {
  const { out } = vm(['--', 'cat', '/sys/fs/cgroup/cgroup.controllers']);
  expect(out.toString().trim().split(' ')).toEqual(
    expect.arrayContaining(['cpu', 'cpuset', 'hugetlb', 'io', 'memory', 'misc', 'pids', 'rdma']),
  );
});

test('--out brings files back, and nothing else does', () => {
  const dir = mkdtempSync(join(tmpdir(), 'tsrun-vm-test-'));
  const [kept, lost] = [join(dir, 'kept'), join(resolve(import.meta.dirname), 'lost')];
  try {
    expect(vm(['--out', dir, '--', 'sh', '-c', `echo text | tee ${kept} ${lost}`]).code).toBe(0);
    expect([readFileSync(kept, 'utf8'), existsSync(lost)]).toEqual(['text\n', false]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('--timeout ends the machine with 124', () => {
  expect(vm(['--timeout', '1', '--', 'sleep', '1000']).code).toBe(124);
});

/** Pids of the QEMU that this script started, which is its one child. */
function qemuOf({ pid }: ChildProcess): string[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return children === '' ? [] : children.split(' ');
}

async function sleepingMachine(): Promise<ChildProcess> {
  const child = spawn(script, [
    '--',
    'sh',
    '-c',
    "trap 'echo caught; exit 3' INT; echo up; while :; do sleep 0.1; done",
  ]);
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  await until('the command runs', () => output === 'up\n', 60);
  return child;
}

test('a signal reaches the command', async () => {
  const child = await sleepingMachine();
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([3, null]);
});

test('when the script is killed, so is the machine', async () => {
  const child = await sleepingMachine();
  const [qemu = ''] = qemuOf(child);
  child.kill('SIGKILL');
  await until(
    'QEMU is gone',
    () => !existsSync(`/proc/${qemu}`) || /State:\s+Z/.test(readFileSync(`/proc/${qemu}/status`, 'utf8')),
  );
});

test('--systemd: it has booted, has a bus, makes scopes, and runs an instance for a user', () => {
  const { code, out, err } = vm([
    '--systemd',
    '--',
    'sh',
    '-ec',
    `systemctl is-system-running --wait
    busctl --quiet call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.DBus.Peer Ping
    systemd-run --quiet --scope sed -n 's/.*[.]//p' /proc/self/cgroup
    systemctl start user@0.service
    XDG_RUNTIME_DIR=/run/user/0 systemctl --user is-system-running --wait`,
  ]);
  expect({ code, out: out.toString(), err }).toEqual({ code: 0, out: 'running\nscope\nrunning\n', err: '' });
});
