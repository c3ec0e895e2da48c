import { describe, expect, test } from 'vitest';
import { type Json, fullConfig, parse } from './spec-samples.ts';

/** Sets one thing in the full config and parses it. */
const parsed = (change: (config: Json) => void): Json => {
  const config = fullConfig();
  change(config);
  return parse(config);
};

describe('parseSpec accepts', () => {
  test('a config with everything that is applied, and returns it unchanged', () => {
    expect(parse(fullConfig())).toEqual(fullConfig());
  });

  test('the least config there can be, and adds an empty linux section', () => {
    expect(parse({ ociVersion: '1.0.2', root: { path: 'rootfs' } })).toEqual({
      ociVersion: '1.0.2',
      root: { path: 'rootfs' },
      linux: {},
    });
  });

  test.each(['1.0.2-dev', '1.3.0', '1.12.5', '1.0.0-rc.1+build.5'])('ociVersion %s', (version) => {
    expect(parsed((config) => (config.ociVersion = version)).ociVersion).toBe(version);
  });

  test('the greatest numbers of 64 bits, which lose precision as doubles', () => {
    const text = JSON.stringify(fullConfig())
      .replace('"hard":1024', '"hard":18446744073709551615')
      .replace('"limit":536870912', '"limit":9223372036854775807');
    const spec = parse(JSON.parse(text));
    expect(spec.process?.rlimits?.[0]?.hard).toBe(2 ** 64);
    expect(spec.linux.resources?.memory?.limit).toBe(2 ** 63);
  });

  test('a relative mount destination, as one under the root', () => {
    expect(parsed((config) => (config.mounts[0].destination = './proc/')).mounts[0].destination).toBe('/proc');
  });

  test('".." in paths of the host', () => {
    parsed((config) => (config.root.path = '../rootfs'));
    parsed((config) => (config.mounts[2].source = '/a/../b'));
  });

  test('names with dots that do not climb', () => {
    parsed((config) => (config.mounts[0].destination = '/a..b/..c/d../...'));
  });

  test('a path of 4095 bytes', () => {
    parsed((config) => (config.root.path = 'é'.repeat(2047) + 'x'));
  });

  test('unknown fields of any name and value, anywhere', () => {
    const spec = parsed((config) => {
      config.constructor = null;
      config.linux.toString = [1];
      config.mounts[0].selinux = { deep: [null] };
      config.process.user.username = 'ContainerAdministrator';
    });
    expect(spec.linux.toString).toEqual([1]);
  });

  test('sections of other platforms without looking into them', () => {
    parsed((config) => Object.assign(config, { windows: 5, solaris: [], vm: null, zos: { namespaces: 7 } }));
  });

  test('null for whatever is optional, and leaves it out of the result', () => {
    const spec = parsed((config) => {
      config.hooks = null;
      config.annotations = null;
      config.process.capabilities.ambient = null;
      config.process.rlimits = null;
      config.mounts[0].options = null;
      config.linux.devices = null;
      config.linux.resources.memory.swap = null;
      config.linux.seccomp = null;
      config.hostname = null;
    });
    expect(JSON.stringify(spec)).not.toContain('null');
    expect('hooks' in spec).toBe(false);
  });

  test('null for the linux section', () => {
    expect(parse({ ociVersion: '1.3.0', root: { path: 'r' }, linux: null }).linux).toEqual({});
  });

  test('an empty text for whatever is optional, and leaves it out of the result', () => {
    const spec = parsed((config) => {
      config.linux.rootfsPropagation = '';
      config.linux.namespaces[0].path = '';
      config.linux.resources.devices[0].type = '';
      config.mounts[0].source = '';
    });
    expect(spec.linux.namespaces[0]).toEqual({ type: 'pid' });
    expect(spec.linux.resources.devices[0]).toEqual({ allow: false, access: 'rwm' });
    expect('source' in spec.mounts[0]).toBe(false);
  });

  test('empty texts where they are data', () => {
    const spec = parsed((config) => config.process.args.push(''));
    expect(spec.process.args).toEqual(['sh', '-c', 'true', '']);
    expect(spec.annotations['org.example.empty']).toBe('');
  });

  test('an empty filter, and leaves it out of the result', () => {
    const spec = parsed((config) => {
      Object.assign(config.linux, { seccomp: {} });
    });
    expect('seccomp' in spec.linux).toBe(false);
  });

  test('file modes with the bits of the file type, as Docker writes them', () => {
    parsed((config) => (config.linux.devices[0].fileMode = 0o20666));
  });

  test('id mappings beside a user namespace that is joined, as containerd writes them', () => {
    parsed((config) => (config.linux.namespaces[5].path = '/proc/1/ns/user'));
  });

  test('a joined user namespace without mappings, whatever the ids are', () => {
    parsed((config) => {
      config.linux.namespaces[5].path = '/proc/1/ns/user';
      delete config.linux.uidMappings;
      delete config.linux.gidMappings;
      config.process.user.uid = 4294967294;
    });
  });

  test('the mapping of all ids', () => {
    parsed((config) => (config.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 4294967295 }]));
  });

  test('sysctls of every namespace that the container has', () => {
    parsed((config) => {
      config.linux.sysctl = {
        'kernel.domainname': 'x',
        'kernel.shm_rmid_forced': '1',
        'fs.mqueue.msg_max': '10',
        'fs/mqueue/queues_max': '10',
        'net.ipv4.conf.eno2/100.rp_filter': '1',
        'user.max_user_namespaces': '0',
      };
    });
  });

  test('a limit of 0 processes, which 1.3 counts as a limit, and an absent one', () => {
    expect(parsed((config) => (config.linux.resources.pids.limit = 0)).linux.resources.pids.limit).toBe(0);
    parsed((config) => (config.linux.resources.pids = {}));
  });
});
