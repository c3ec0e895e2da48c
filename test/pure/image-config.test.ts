import { describe, expect, test } from 'vitest';
import { convert } from '../../src/image/convert.ts';
import { parsePlatform, platformOf, selectPlatform } from '../../src/image/platform.ts';
import { parseReference } from '../../src/image/reference.ts';
import { checkConfig, type ImageConfig } from '../../src/image/types.ts';
import { findUser } from '../../src/image/users.ts';
import { parseSpec } from '../../src/spec/parse.ts';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('a reference', () => {
  test.each([
    ['oci:dir', { kind: 'oci', path: 'dir', tag: undefined, digest: undefined }],
    ['oci:/a/b:tag', { kind: 'oci', path: '/a/b', tag: 'tag' }],
    ['oci:dir:docker.io/library/x:1', { path: 'dir', tag: 'docker.io/library/x:1' }],
    [`oci:dir@${digest}`, { path: 'dir', tag: undefined, digest }],
    ['oci-archive:file.tar:v1', { kind: 'oci-archive', path: 'file.tar', tag: 'v1' }],
    ['docker-archive:file.tar', { kind: 'docker-archive', path: 'file.tar', tag: undefined }],
    ['docker-archive:file.tar:name:tag', { path: 'file.tar', tag: 'name:tag' }],
  ])('%s', (text, expected) => {
    expect(parseReference(text)).toMatchObject({ ...expected, text });
  });

  test.each([
    ['dir', 'is no image'],
    ['docker:busybox', 'is no image'],
    ['oci:', 'expected a path'],
    ['oci::tag', 'expected a path'],
    ['oci:dir:', 'expected a tag'],
    ['oci:dir@sha256:12', '64 hexadecimal digits'],
    [`oci:dir:tag@${digest}`, 'found both'],
  ])('%s is refused', (text, message) => {
    expect(() => parseReference(text)).toThrow(message);
  });
});

describe('a platform', () => {
  const descriptor = (os: string, architecture: string, variant?: string) => ({
    mediaType: 'm',
    digest: `${os}/${architecture}/${variant}`,
    size: 1,
    platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
  });
  const list = [
    descriptor('linux', 'amd64'),
    descriptor('linux', 'arm', 'v5'),
    descriptor('linux', 'arm', 'v7'),
    descriptor('linux', 'arm64', 'v8'),
    descriptor('windows', 'amd64'),
  ];

  test.each([
    ['linux/amd64', 'linux/amd64/undefined'],
    ['amd64', 'linux/amd64/undefined'],
    ['linux/arm64', 'linux/arm64/v8'],
    ['linux/arm/v6', 'linux/arm/v5'],
    ['linux/arm/v8', 'linux/arm/v7'],
    ['windows/amd64', 'windows/amd64/undefined'],
    ['linux/s390x', undefined],
    ['linux/arm/v4', undefined],
  ])('%s selects %s', (text, found) => {
    expect(selectPlatform(list, parsePlatform(text))?.digest).toBe(found);
  });

  test('is that of the machine', () => {
    expect(platformOf('x86_64')).toEqual({ os: 'linux', architecture: 'amd64' });
    expect(selectPlatform(list, platformOf('aarch64'))?.digest).toBe('linux/arm64/v8');
  });

  test.each(['', 'linux/', 'linux/arm/v7/x', '/amd64', 'linux/arm/'])('%j is refused', (text) => {
    expect(() => parsePlatform(text)).toThrow('expected OS/ARCHITECTURE');
  });
});

describe('the user', () => {
  const passwd = 'root:x:0:0:root:/root:/bin/sh\njoe:x:1000:1001::/:/bin/sh\n1234:x:7:8::/:\nbroken:x:nine:1::/:\n';
  const group = 'root:x:0:\nstaff:x:50:joe,other\naudio:x:63:joe\njoe:x:1001:joe\n';

  test.each([
    ['', [0, 0], []],
    ['0', [0, 0], []],
    ['joe', [1000, 1001], [50, 63]],
    ['1000', [1000, 1001], [50, 63]],
    ['joe:staff', [1000, 50], []],
    ['joe:77', [1000, 77], []],
    ['55', [55, 0], []],
    ['55:audio', [55, 63], []],
    ['1234', [7, 8], []],
    [':audio', [0, 63], []],
  ])('%j', (user, [uid, gid], additionalGids) => {
    expect(findUser(user, passwd, group)).toEqual({ uid, gid, additionalGids });
  });

  test.each(['jane', 'broken', '4294967295', '-1', 'joe:nogroup'])('%j is refused', (user) => {
    expect(() => findUser(user, passwd, group)).toThrow(/is not in its \/etc\/(passwd|group)/);
  });
});

describe('the conversion', () => {
  const ids = { uid: 0, gid: 0, additionalGids: [] };
  const image = (config: ImageConfig['config'], more: Partial<ImageConfig> = {}): ImageConfig => ({
    ...more,
    ...(config === undefined ? {} : { config }),
    rootfs: { diff_ids: [] },
  });
  const plain = { args: [], ids, terminal: false, caller: undefined };

  test('makes a config.json that is valid', () => {
    const spec = convert(image({ Cmd: ['sh'], Volumes: { '/data': {} }, Env: ['A=b'], WorkingDir: '/x' }), plain);
    expect(parseSpec(JSON.stringify(spec), 'config.json')).toMatchObject({ process: { cwd: '/x', args: ['sh'] } });
  });

  test.each([
    [['e'], ['c'], [], ['e', 'c']],
    [['e'], ['c'], ['a', 'b'], ['e', 'a', 'b']],
    [undefined, ['c'], ['a'], ['a']],
    [['e'], undefined, [], ['e']],
  ])('joins Entrypoint %j, Cmd %j and arguments %j', (Entrypoint, Cmd, args, expected) => {
    const config = { ...(Entrypoint === undefined ? {} : { Entrypoint }), ...(Cmd === undefined ? {} : { Cmd }) };
    expect(convert(image(config), { ...plain, args }).process?.args).toEqual(expected);
  });

  test('refuses an image without a command', () => {
    expect(() => convert(image({}), plain)).toThrow('names no command');
  });

  test('makes annotations, of which labels win', () => {
    const spec = convert(
      image(
        {
          Cmd: ['x'],
          StopSignal: 'SIGQUIT',
          ExposedPorts: { '80/tcp': {}, '53/udp': {} },
          Labels: { own: 'label', 'org.opencontainers.image.author': 'label' },
        },
        { os: 'linux', architecture: 'arm', variant: 'v7', author: 'config', created: '2020-01-01T00:00:00Z' },
      ),
      plain,
    );
    expect(spec.annotations).toEqual({
      'org.opencontainers.image.os': 'linux',
      'org.opencontainers.image.architecture': 'arm',
      'org.opencontainers.image.variant': 'v7',
      'org.opencontainers.image.author': 'label',
      'org.opencontainers.image.created': '2020-01-01T00:00:00Z',
      'org.opencontainers.image.stopSignal': 'SIGQUIT',
      'org.opencontainers.image.exposedPorts': '80/tcp,53/udp',
      own: 'label',
    });
  });

  test('leaves out labels that would tell a runtime what to do on the host', () => {
    const Labels = {
      'run.oci.hooks.stdout': '/etc/passwd',
      'run.oci.keep_original_groups': '1',
      'org.systemd.property.ExecStopPost': "[('/bin/sh', ['sh'], false)]",
      'org.criu.config': '/tmp/criu.conf',
      'run.ocix': 'kept',
    };
    const { annotations = {} } = convert(image({ Cmd: ['x'], Labels }), plain);
    expect(Object.keys(annotations).filter((name) => !name.startsWith('org.opencontainers.'))).toEqual(['run.ocix']);
  });

  test('without root maps the caller to root, and takes no other user', () => {
    const caller = { ...plain, caller: [1000, 1001] as const };
    const { linux, process } = convert(image({ Cmd: ['x'] }), caller);
    expect(linux).toMatchObject({ uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }] });
    expect(linux?.gidMappings).toEqual([{ containerID: 0, hostID: 1001, size: 1 }]);
    expect(process?.user).toEqual({ uid: 0, gid: 0 });
    const other = { ...caller, ids: { uid: 5, gid: 0, additionalGids: [] } };
    expect(() => convert(image({ Cmd: ['x'] }), other)).toThrow("the image's user is 5:0: without root");
  });

  test.each(['/', '', 'data', '/./', '/a/../..'])('has no volume at %j', (volume) => {
    expect(() => convert(image({ Cmd: ['x'], Volumes: { [volume]: {} } }), plain)).toThrow('an absolute path below /');
  });

  test('gives a PATH where the image has none, and a TERM with a terminal', () => {
    expect(convert(image({ Cmd: ['x'] }), { ...plain, terminal: true }).process?.env).toEqual([
      expect.stringMatching(/^PATH=.*\/bin$/),
      'TERM=xterm',
    ]);
    expect(convert(image({ Cmd: ['x'], Env: ['PATH=/only'] }), plain).process?.env).toEqual(['PATH=/only']);
  });

  test('gives capabilities to root alone', () => {
    const user = { ...plain, ids: { uid: 5, gid: 5, additionalGids: [6] } };
    const { capabilities, user: who } = convert(image({ Cmd: ['x'] }), user).process ?? {};
    expect(capabilities?.effective).toBeUndefined();
    expect(capabilities?.bounding).toContain('CAP_SETUID');
    expect(who).toEqual({ uid: 5, gid: 5, additionalGids: [6] });
  });
});

describe('a configuration', () => {
  test('may have null where Go writes it', () => {
    const config = checkConfig({ config: { Cmd: null, Env: null }, rootfs: { diff_ids: null } }, 'x');
    expect(config).toEqual({ config: {}, rootfs: { diff_ids: [] } });
  });

  test.each([
    [{ config: { Cmd: 'sh' }, rootfs: { diff_ids: [] } }, '/config/Cmd: expected a list of texts'],
    [{ config: { Labels: { a: 1 } }, rootfs: { diff_ids: [] } }, '/config/Labels'],
    [{ rootfs: { diff_ids: ['sha256:x'] } }, '/rootfs/diff_ids'],
    [{}, '/rootfs/diff_ids'],
  ])('%j is refused', (value, message) => {
    expect(() => checkConfig(value, 'x')).toThrow(message);
  });
});
