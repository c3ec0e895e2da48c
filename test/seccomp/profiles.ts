// The default profiles of Docker and podman as their engines write them into config.json. They are read from where
// Debian's packages have them; neither is ours to keep a copy of.
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Arch, LinuxSeccomp, LinuxSyscall } from '../../src/spec/types.ts';

const project = resolve(import.meta.dirname, '../..');
// scripts/setup takes Docker's out of the package golang-github-docker-docker-dev.
const profileFiles = {
  docker: join(project, '.cache/profiles/docker.json'),
  podman: '/usr/share/containers/seccomp.json',
};
export type ProfileName = keyof typeof profileFiles;

export const hasProfile = (name: ProfileName): boolean => existsSync(profileFiles[name]);

// What both engines give a container that asks for nothing.
const capabilities = [
  ...['CHOWN', 'DAC_OVERRIDE', 'FSETID', 'FOWNER', 'MKNOD', 'NET_RAW', 'SETGID', 'SETUID', 'SETFCAP', 'SETPCAP'],
  ...['NET_BIND_SERVICE', 'SYS_CHROOT', 'KILL', 'AUDIT_WRITE'],
].map((name) => `CAP_${name}`);

interface Filter {
  arches?: string[];
  caps?: string[];
}
interface Entry extends LinuxSyscall {
  includes?: Filter;
  excludes?: Filter;
}
interface File extends Omit<LinuxSeccomp, 'syscalls'> {
  archMap: { architecture: Arch; subArchitectures: Arch[] }[];
  syscalls: Entry[];
}

export function defaultProfile(name: ProfileName, arch: 'amd64' | 'arm64' = 'amd64'): LinuxSeccomp {
  const file = JSON.parse(readFileSync(profileFiles[name], 'utf8')) as File;
  const native: Arch = arch === 'amd64' ? 'SCMP_ARCH_X86_64' : 'SCMP_ARCH_AARCH64';
  const mapped = file.archMap.find(({ architecture }) => architecture === native);
  const holds = ({ includes = {}, excludes = {} }: Entry) =>
    (includes.arches ?? [arch]).includes(arch) &&
    (includes.caps ?? []).every((cap) => capabilities.includes(cap)) &&
    !(excludes.arches ?? []).includes(arch) &&
    !(excludes.caps ?? []).some((cap) => capabilities.includes(cap));
  const { defaultAction, defaultErrnoRet } = file;
  return {
    defaultAction,
    ...(defaultErrnoRet === undefined ? {} : { defaultErrnoRet }),
    architectures: [native, ...(mapped?.subArchitectures ?? [])],
    syscalls: file.syscalls.filter(holds).map(({ names, action, errnoRet, args }) => ({
      names,
      action,
      ...(errnoRet === undefined || errnoRet === null ? {} : { errnoRet }),
      ...(args === undefined || args === null || args.length === 0 ? {} : { args }),
    })),
  };
}
