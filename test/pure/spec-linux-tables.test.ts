import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { capabilityNames, capabilityNumber } from '../../src/linux/capabilities.ts';
import { rlimitNames, rlimits } from '../../src/linux/rlimits.ts';
import { parseSignal, signals } from '../../src/linux/signals.ts';
import { sysctlPath } from '../../src/spec/sysctl.ts';

describe('the tables of Linux', () => {
  test('number the capabilities as the kernel does', () => {
    expect(capabilityNames).toHaveLength(41);
    expect(new Set(capabilityNames).size).toBe(41);
    expect(capabilityNumber('CAP_CHOWN')).toBe(0);
    expect(capabilityNumber('CAP_SYS_ADMIN')).toBe(21);
    expect(capabilityNumber('CAP_MKNOD')).toBe(27);
    expect(capabilityNumber('CAP_CHECKPOINT_RESTORE')).toBe(40);
    expect(capabilityNumber('CAP_NONE')).toBeUndefined();
  });

  test('number the rlimits as the kernel does', () => {
    expect(rlimitNames).toHaveLength(16);
    expect(rlimits['RLIMIT_NOFILE']).toBe(7);
    expect(rlimitNames.map((name) => rlimits[name])).toEqual([...rlimitNames.keys()]);
  });

  test('agree with this kernel about the signals', () => {
    for (const [name, number] of Object.entries(signals)) {
      const known = constants.signals[`SIG${name}` as NodeJS.Signals];
      if (known !== undefined) expect([name, number]).toEqual([name, known]);
    }
  });
});

describe('parseSignal', () => {
  test.each([
    ['9', 9],
    ['KILL', 9],
    ['SIGKILL', 9],
    ['sigkill', 9],
    ['Term', 15],
    ['IOT', 6],
    ['64', 64],
    ['RTMIN', 34],
    ['SIGRTMIN+3', 37],
    ['rtmin+30', 64],
    ['RTMAX', 64],
    ['SIGRTMAX-30', 34],
  ])('reads %s as %i', (text, number) => {
    expect(parseSignal(text)).toBe(number);
  });

  test.each([
    '',
    '0',
    '65',
    '-9',
    '+9',
    ' 9',
    '9 ',
    '0x9',
    '1e1',
    '999',
    'SIG',
    'SIGSIGKILL',
    'NOPE',
    'RTMIN-1',
    'RTMIN+31',
    'RTMAX+1',
    'RTMAX-31',
    'RTMIN+',
    'RTMIN+3x',
    'constructor',
    '__proto__',
    'KILL\n',
  ])('refuses %j', (text) => {
    expect(parseSignal(text)).toBeUndefined();
  });
});

describe('the path of a sysctl under /proc/sys', () => {
  test.each([
    ['net.ipv4.ip_forward', 'net/ipv4/ip_forward'],
    ['net/ipv4/ip_forward', 'net/ipv4/ip_forward'],
    ['net.ipv4.conf.eno2/100.rp_filter', 'net/ipv4/conf/eno2.100/rp_filter'],
    ['net/ipv4/conf/eno2.100/rp_filter', 'net/ipv4/conf/eno2.100/rp_filter'],
  ])('of %s is %s', (name, path) => {
    expect(sysctlPath(name)).toBe(path);
  });
});
