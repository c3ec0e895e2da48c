// Reading what probe, mountinfo and the kernel's text files say.

// "key rest of line" per line, as an object.
export function facts(text: string): Record<string, string> {
  const lines = text.trim().split('\n');
  return Object.fromEntries(lines.map((line) => [line.split(' ')[0] ?? '', line.slice(line.indexOf(' ') + 1)]));
}

export interface MountInfo {
  root: string;
  point: string;
  options: string[];
  propagation: string[];
  type: string;
  source: string;
  superOptions: string[];
}

export function mountInfo(text: string): MountInfo[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [left = '', right = ''] = line.split(' - ');
      const [, , , root = '', point = '', options = '', ...propagation] = left.split(' ');
      const [type = '', source = '', superOptions = ''] = right.split(' ');
      return {
        root,
        point,
        options: options.split(','),
        propagation: propagation.map((p) => p.split(':')[0] ?? ''),
        type,
        source,
        superOptions: superOptions.split(','),
      };
    });
}

// The topmost mount at a point is the last one listed.
export function mountAt(text: string, point: string): MountInfo {
  const found = mountInfo(text).findLast((mount) => mount.point === point);
  if (!found) throw new Error(`nothing is mounted at ${point}:\n${text}`);
  return found;
}

export const capabilityNames = [
  ...[
    'CHOWN',
    'DAC_OVERRIDE',
    'DAC_READ_SEARCH',
    'FOWNER',
    'FSETID',
    'KILL',
    'SETGID',
    'SETUID',
    'SETPCAP',
    'LINUX_IMMUTABLE',
  ],
  ...['NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER', 'SYS_MODULE', 'SYS_RAWIO'],
  ...['SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE', 'SYS_RESOURCE', 'SYS_TIME'],
  ...[
    'SYS_TTY_CONFIG',
    'MKNOD',
    'LEASE',
    'AUDIT_WRITE',
    'AUDIT_CONTROL',
    'SETFCAP',
    'MAC_OVERRIDE',
    'MAC_ADMIN',
    'SYSLOG',
  ],
  ...['WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF', 'CHECKPOINT_RESTORE'],
].map((name) => `CAP_${name}`);

// A hexadecimal mask as the sorted list of names that a config would have.
export function capabilitySet(mask: string | undefined): string[] {
  const bits = BigInt(`0x${mask ?? ''}`);
  return capabilityNames.filter((_, number) => ((bits >> BigInt(number)) & 1n) === 1n).sort();
}
