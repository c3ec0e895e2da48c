// `explain` and `--trace`: the plan as text, before it is run and with what the kernel answered.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { baseMounts, type Changes, container, expect, test, withMounts } from '../harness/index.ts';

const tsrunOnly = { only: ['tsrun' as const] };

function explained(t: Parameters<typeof container>[0], changes: Changes = {}, ...flags: string[]): string {
  const box = container(t, changes);
  box.prepare(['true']);
  const result = box.call('explain', [...flags, box.bundle]);
  expect(result).toMatchObject({ code: 0, err: '' });
  expect(box.leaks()).toEqual([]);
  return result.out;
}

test('explain tells every mount with its pointer and its destination (Shows 5)', tsrunOnly, (t) => {
  const out = explained(t);
  baseMounts.forEach(({ destination }, index) => {
    expect(out).toMatch(new RegExp(`/mounts/${index}\\b`));
    expect(out).toContain(destination);
  });
});

test('explain tells every masked path with its pointer', tsrunOnly, (t) => {
  const out = explained(t, { linux: { maskedPaths: ['/proc/kcore', '/proc/keys', '/sys/firmware'] } });
  for (const [index, path] of ['/proc/kcore', '/proc/keys', '/sys/firmware'].entries()) {
    expect(out).toMatch(new RegExp(`/linux/maskedPaths/${index}\\b`));
    expect(out).toContain(path);
  }
});

test('explain tells every namespace with its pointer', tsrunOnly, (t) => {
  const out = explained(t);
  for (const index of [0, 1, 2, 3, 4, 5])
    expect(out).toMatch(new RegExp(`/linux/namespaces/${index}\\b|/linux/namespaces\\b`));
});

test('the steps stand in the order of execution', tsrunOnly, (t) => {
  const out = explained(t).toLowerCase();
  // A step's first line has its number; the reasons below may name what comes later.
  const place = {
    namespaces: out.indexOf('/linux/namespaces'),
    mounts: out.indexOf('/mounts/0'),
    pivot: out.search(/^ *\d+ +\w+ +.*pivot/m),
    masks: out.indexOf('/linux/maskedpaths/0'),
    capabilities: out.indexOf('/process/capabilities'),
    args: out.indexOf('/process/args'),
  };
  expect(Object.values(place)).not.toContain(-1);
  // Masks may come on either side of pivot_root: crun makes them before, runc after.
  for (const middle of [place.pivot, place.masks]) {
    const order = [place.namespaces, place.mounts, middle, place.capabilities, place.args];
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  }
});

test('explain makes no mount point, no device and no directory', tsrunOnly, (t) => {
  const box = container(t, withMounts({ destination: '/fresh/point', type: 'tmpfs', source: 'tmpfs' }));
  const tree = () => readdirSync(box.rootfs, { recursive: true, encoding: 'utf8' }).toSorted();
  const before = tree();
  box.prepare(['true']);
  expect(box.call('explain', [box.bundle]).code).toBe(0);
  expect(tree()).toEqual(before);
});

test('explain --json is a list of steps, each with a pointer or a reason', tsrunOnly, (t) => {
  const parsed = JSON.parse(explained(t, {}, '--json')) as
    | { steps?: Record<string, unknown>[] }
    | Record<string, unknown>[];
  const steps = Array.isArray(parsed) ? parsed : (parsed.steps ?? []);
  expect(steps.length).toBeGreaterThan(baseMounts.length);
  for (const step of steps)
    expect(step).toMatchObject({ op: expect.any(String), from: expect.any(String), why: expect.any(String) });
});

test('explain of a config with problems tells them all', tsrunOnly, (t) => {
  const box = container(t, { process: { cwd: 'relative' }, linux: { namespaces: [{ type: 'nett' }] } });
  box.prepare(['true']);
  const { code, err } = box.call('explain', [box.bundle]);
  expect(code).toBe(1);
  expect(err).toContain('/process/cwd');
  expect(err).toContain('/linux/namespaces/0/type');
});

test('run --trace FILE tells each step with its result and its time, and the output stays clean', tsrunOnly, (t) => {
  const box = container(t);
  expect(box.runWith(['--trace', box.path('trace')], 'echo', 'clean')).toEqual({ code: 0, out: 'clean\n', err: '' });
  const trace = readFileSync(box.path('trace'), 'utf8');
  expect(trace).toMatch(/\bok\b/);
  expect(trace).toMatch(/\d+(\.\d+)? ?(ms|µs|us)/);
  expect(trace).toContain('/mounts/0');
});

test('run --trace tells the step that failed and what the kernel said', tsrunOnly, (t) => {
  const box = container(t);
  box.config.mounts.push({ destination: '/x', type: 'nosuchfs', source: 'none' });
  expect(box.runWith(['--trace', box.path('trace')], 'true').code).toBe(1);
  expect(existsSync(box.path('trace'))).toBe(true);
  expect(readFileSync(box.path('trace'), 'utf8')).toMatch(/ENODEV/);
});

test('create --trace works as run --trace does', tsrunOnly, (t) => {
  const box = container(t);
  box.prepare(['true']);
  expect(box.call('create', ['--bundle', box.bundle, '--trace', box.path('trace'), box.id]).code).toBe(0);
  expect(readFileSync(box.path('trace'), 'utf8')).toContain('/mounts/0');
});
