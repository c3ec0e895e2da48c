// The verb `features`: engines run it once, without any other word, and read all of its standard output as JSON.
import { container, expect, runtime, test } from '../harness/index.ts';

const missing = { crun: "Debian 12's crun has no such verb" };

test('features: is one JSON document on standard output', { except: missing }, (t) => {
  const { code, out, err } = container(t).call('features');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const document = JSON.parse(out) as Record<string, unknown>;
  expect(document).toMatchObject({
    ociVersionMin: '1.0.0',
    hooks: ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'],
    linux: { cgroup: { v2: true }, selinux: { enabled: true }, apparmor: { enabled: true } },
  });
  expect(out.endsWith('}\n')).toBe(true);
  if (runtime.family === 'tsrun') expect(document).toMatchObject({ ociVersionMax: '1.3.0' });
});

test('features: words behind it are a usage error', { except: missing }, (t) => {
  const { code, err } = container(t).call('features', ['x']);
  expect(code).toBe(1);
  expect(err).toContain('features');
});
