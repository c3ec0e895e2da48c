// What the shim's program reads: its command line, and options in the forms of each containerd.
import { expect, test } from 'vitest';
import { encode } from '../../src/proto/encode.ts';
import { pack } from '../../src/proto/well-known.ts';
import { parseFlags } from '../../src/shim/flags.ts';
import { RuncOptions, RuntimeOptions } from '../../src/shim/messages/options.ts';
import { parseOptions, stateRoot } from '../../src/shim/options.ts';

test('flags have one dash or two, and their value behind a space or an equals sign', () => {
  const words = ['-namespace', 'ns', '--id=a', '-address=', '-debug', '-bundle', '/b', 'delete', '-id', 'ignored'];
  expect(parseFlags(words)).toMatchObject({
    namespace: 'ns',
    id: 'a',
    address: '',
    debug: true,
    bundle: '/b',
    action: 'delete',
  });
  expect(parseFlags(['-debug=false', '-v'])).toMatchObject({ debug: false, version: true, action: '' });
  expect(() => parseFlags(['-debug=maybe'])).toThrow('invalid boolean value "maybe" for -debug');
  expect(() => parseFlags(['-publish-binary'])).toThrow('flag needs an argument: -publish-binary');
  expect(() => parseFlags(['-constructor', 'x'])).toThrow('not defined: -constructor');
});

test('options: none, a type without a value, those of the shim for runc, a table in TOML', () => {
  const none = parseOptions(undefined);
  expect(none).toMatchObject({ noPivot: false, root: '', systemdCgroup: undefined });
  expect(parseOptions({ typeUrl: RuncOptions.name, value: new Uint8Array(0) })).toEqual(none);
  expect(parseOptions(pack(RuncOptions, { root: '/r', systemdCgroup: true, ioUid: 7, noPivotRoot: true }))).toEqual({
    ...none,
    root: '/r',
    systemdCgroup: true,
    uid: 7,
    noPivot: true,
  });
  const text = 'BinaryName = "/usr/bin/runc"\nSystemdCgroup = true\nRoot = "/r"\n  IoGid = 9\n';
  const table = { typeUrl: RuntimeOptions.name, value: encode(RuntimeOptions, { configBody: Buffer.from(text) }) };
  expect(parseOptions(table)).toEqual({ ...none, systemdCgroup: true, root: '/r', gid: 9 });
  expect(() => parseOptions({ typeUrl: 'a.Options', value: new Uint8Array(1) })).toThrow('"a.Options" are not known');
});

test('each namespace has a state root of its own', () => {
  expect([stateRoot('', 'k8s.io'), stateRoot('/r', 'a')]).toEqual(['/run/containerd/tsrun/k8s.io', '/r/a']);
});
