import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defaultDeviceRules, deviceFilter } from '../../src/cgroup/devices.ts';
import { EbpfProgram, INSN_SIZE, printEbpf } from '../../src/cgroup/ebpf.ts';
import { ConfigError } from '../../src/errors.ts';
import type { LinuxDeviceCgroup } from '../../src/spec/types.ts';

interface Access {
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  readonly access: string;
}

const bits: Record<string, number> = { m: 1, r: 2, w: 4 };

const accessBits = (access: string): number => [...access].reduce((sum, letter) => sum | (bits[letter] ?? 0), 0);

/** Runs the instructions that tsrun makes, as the kernel would. */
function interpret(program: Uint8Array, asked: Access): { verdict: boolean; steps: number } {
  const context = new DataView(new ArrayBuffer(12));
  context.setUint32(0, (accessBits(asked.access) << 16) | (asked.type === 'b' ? 1 : 2), true);
  context.setUint32(4, asked.major, true);
  context.setUint32(8, asked.minor, true);
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const regs: (bigint | undefined)[] = [];
  const read = (reg: number): bigint => {
    const value = regs[reg];
    if (value === undefined) throw new Error(`r${reg} is read before it is written`);
    return value;
  };
  for (let pc = 0, steps = 1; ; pc += 1, steps += 1) {
    const at = pc * INSN_SIZE;
    const code = view.getUint8(at);
    const dst = view.getUint8(at + 1) & 15;
    const src = view.getUint8(at + 1) >> 4;
    const off = view.getInt16(at + 2, true);
    const imm = BigInt(view.getInt32(at + 4, true));
    const wide = BigInt.asUintN(64, imm);
    if (code === 0x61) regs[dst] = BigInt(context.getUint32(off, true));
    else if (code === 0xbc) regs[dst] = BigInt.asUintN(32, read(src));
    else if (code === 0xb4) regs[dst] = BigInt.asUintN(32, imm);
    else if (code === 0x54) regs[dst] = BigInt.asUintN(32, read(dst) & wide);
    else if (code === 0x74) regs[dst] = BigInt.asUintN(32, read(dst)) >> imm;
    else if (code === 0x05) pc += off;
    else if (code === 0x15) pc += read(dst) === wide ? off : 0;
    else if (code === 0x55) pc += read(dst) !== wide ? off : 0;
    else if (code === 0x45) pc += (read(dst) & wide) !== 0n ? off : 0;
    else if (code === 0x95) return { verdict: read(0) === 1n, steps };
    else throw new Error(`unknown opcode 0x${code.toString(16)}`);
  }
}

const allows = (rules: readonly LinuxDeviceCgroup[], asked: Access): boolean => {
  const program = deviceFilter(rules);
  return program.length === 0 || interpret(program, asked).verdict;
};

const asks = (device: string, access: string): Access => {
  const [type, major, minor] = device.split(/[ :]/);
  return { type: type as 'b' | 'c', major: Number(major), minor: Number(minor), access };
};

/** The rules as the docstring of deviceFilter has them: for each access, the last rule that names it. */
function simulate(rules: readonly LinuxDeviceCgroup[], asked: Access): boolean {
  return [...asked.access].every((letter) => {
    let allowed = false;
    for (const rule of [...rules, ...defaultDeviceRules]) {
      const type = rule.type ?? 'a';
      if (type !== 'a' && type !== asked.type) continue;
      if ((rule.major ?? -1) !== -1 && rule.major !== asked.major) continue;
      if ((rule.minor ?? -1) !== -1 && rule.minor !== asked.minor) continue;
      if (rule.access?.includes(letter)) allowed = rule.allow;
    }
    return allowed;
  });
}

/** What the verifier checks of the control flow: every jump lands in the program, everything is reached, exit ends. */
function expectSound(program: Uint8Array): void {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const count = program.length / INSN_SIZE;
  const reached = new Set<number>();
  const todo = [0];
  for (let index = todo.pop(); index !== undefined; index = todo.pop()) {
    expect(index).toBeGreaterThanOrEqual(0);
    expect(index).toBeLessThan(count);
    if (reached.has(index)) continue;
    reached.add(index);
    const code = view.getUint8(index * INSN_SIZE);
    const off = view.getInt16(index * INSN_SIZE + 2, true);
    const jumps = (code & 7) === 5 && code !== 0x95;
    if (jumps) todo.push(index + 1 + off);
    if (code !== 0x95 && code !== 0x05) todo.push(index + 1);
  }
  expect(reached.size).toBe(count);
  expect(view.getUint8((count - 1) * INSN_SIZE)).toBe(0x95);
}

const denyAll: LinuxDeviceCgroup = { allow: false, access: 'rwm' };
const allowAll: LinuxDeviceCgroup = { allow: true, access: 'rwm' };

const numbers = fc.constantFrom(-1, 0, 1, 3, 5, 10, 136, 200, 4095);
const letters = fc.constantFrom('r', 'w', 'm', 'rw', 'rm', 'wm', 'rwm', 'wr');
const rule: fc.Arbitrary<LinuxDeviceCgroup> = fc.record(
  {
    allow: fc.boolean(),
    type: fc.constantFrom<'a' | 'b' | 'c'>('a', 'b', 'c'),
    major: numbers,
    minor: fc.oneof(numbers, fc.constantFrom(1048575, 1048576, 4294967295)),
    access: letters,
  },
  { requiredKeys: ['allow', 'access'] },
);
const asked: fc.Arbitrary<Access> = fc.record({
  type: fc.constantFrom<'b' | 'c'>('b', 'c'),
  major: fc.constantFrom(0, 1, 3, 5, 10, 136, 200, 4095),
  minor: fc.constantFrom(0, 1, 2, 3, 5, 10, 136, 200, 4095, 1048575),
  access: fc.constantFrom('', 'r', 'w', 'm', 'rw', 'rm', 'wm', 'rwm'),
});

describe('a device filter', () => {
  test('gives the verdict of the rules for thousands of random rules and accesses', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 12 }), fc.array(asked, { minLength: 8, maxLength: 8 }), (rules, list) => {
        const program = deviceFilter(rules);
        for (const one of list) {
          const verdict = program.length === 0 || interpret(program, one).verdict;
          expect(verdict).toBe(simulate(rules, one));
        }
      }),
      { numRuns: 4000 },
    );
  });

  test('has no unreachable instruction and no jump out of the program, whatever the rules', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 12 }), (rules) => {
        const program = deviceFilter(rules);
        if (program.length > 0) expectSound(program);
      }),
      { numRuns: 2000 },
    );
  });

  test('of the usual rule that denies everything still allows the default devices', () => {
    expect(allows([denyAll], asks('c 1:3', 'rw'))).toBe(true);
    expect(allows([denyAll], asks('c 136:7', 'rw'))).toBe(true);
    expect(allows([denyAll], asks('c 5:2', 'rw'))).toBe(true);
    expect(allows([denyAll], asks('c 10:200', 'rw'))).toBe(true);
  });

  test('of the usual rule denies reading the first disk, but not making a node for it', () => {
    expect(allows([denyAll], asks('b 8:0', 'r'))).toBe(false);
    expect(allows([denyAll], asks('b 8:0', 'm'))).toBe(true);
  });

  test('does not allow the console of the host, which runc does not allow either', () => {
    expect(allows([denyAll], asks('c 5:1', 'r'))).toBe(false);
  });

  test('of no rules at all is that of the rule that denies everything', () => {
    expect(deviceFilter([])).toEqual(deviceFilter([denyAll]));
  });

  test('takes the last rule that matches', () => {
    expect(allows([denyAll, { allow: true, type: 'b', major: 8, access: 'r' }], asks('b 8:1', 'r'))).toBe(true);
    expect(allows([{ allow: true, type: 'b', major: 8, access: 'r' }, denyAll], asks('b 8:1', 'r'))).toBe(false);
  });

  test('cannot take the default devices away', () => {
    expect(allows([{ allow: false, type: 'c', major: 1, minor: 3, access: 'rwm' }], asks('c 1:3', 'r'))).toBe(true);
  });

  test('does not open for reading and writing what may only be read', () => {
    const rules: LinuxDeviceCgroup[] = [denyAll, { allow: true, type: 'b', major: 8, minor: 0, access: 'r' }];
    expect(allows(rules, asks('b 8:0', 'r'))).toBe(true);
    expect(allows(rules, asks('b 8:0', 'rw'))).toBe(false);
  });

  test('opens for reading and writing what two rules allow to read and to write', () => {
    const rules: LinuxDeviceCgroup[] = [
      denyAll,
      { allow: true, type: 'b', major: 8, access: 'r' },
      { allow: true, type: 'b', minor: 0, access: 'w' },
    ];
    expect(allows(rules, asks('b 8:0', 'rw'))).toBe(true);
    expect(allows(rules, asks('b 8:1', 'rw'))).toBe(false);
  });

  test('refuses reading and writing together where all is allowed but writing', () => {
    const rules: LinuxDeviceCgroup[] = [allowAll, { allow: false, type: 'b', major: 8, minor: 0, access: 'w' }];
    expect(allows(rules, asks('b 8:0', 'rw'))).toBe(false);
    expect(allows(rules, asks('b 8:0', 'r'))).toBe(true);
    expect(allows(rules, asks('b 8:1', 'rw'))).toBe(true);
  });

  test('takes one device out of an allowed range', () => {
    const rules: LinuxDeviceCgroup[] = [
      denyAll,
      { allow: true, type: 'b', major: 8, access: 'rwm' },
      { allow: false, type: 'b', major: 8, minor: 1, access: 'rwm' },
    ];
    expect(allows(rules, asks('b 8:0', 'rw'))).toBe(true);
    expect(allows(rules, asks('b 8:1', 'r'))).toBe(false);
  });

  test('takes a rule of type a at its word: reading only', () => {
    const rules: LinuxDeviceCgroup[] = [denyAll, { allow: true, type: 'a', access: 'r' }];
    expect(allows(rules, asks('b 8:0', 'r'))).toBe(true);
    expect(allows(rules, asks('b 8:0', 'w'))).toBe(false);
  });

  test('is empty if everything is allowed', () => {
    expect(deviceFilter([allowAll])).toHaveLength(0);
    expect(deviceFilter([denyAll, allowAll])).toHaveLength(0);
    expect(
      deviceFilter([
        { allow: true, access: 'r' },
        { allow: true, type: 'a', access: 'w' },
      ]),
    ).toHaveLength(0);
    expect(deviceFilter([{ allow: true, type: 'c', access: 'rw' }, allowAll])).toHaveLength(0);
  });

  test('ignores what stands before a rule for everything', () => {
    const noise = Array.from(
      { length: 50 },
      (_, minor): LinuxDeviceCgroup => ({ allow: true, type: 'b', major: 8, minor, access: 'r' }),
    );
    expect(deviceFilter([...noise, denyAll])).toEqual(deviceFilter([denyAll]));
  });

  test('drops rules that repeat the default devices', () => {
    const repeated: LinuxDeviceCgroup = { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' };
    expect(deviceFilter([denyAll, repeated])).toEqual(deviceFilter([denyAll]));
  });

  test('takes every negative number as any, like runc', () => {
    const rules: LinuxDeviceCgroup[] = [denyAll, { allow: true, type: 'b', major: -2, minor: -1, access: 'r' }];
    expect(allows(rules, asks('b 8:0', 'r'))).toBe(true);
  });

  test('ignores rules for numbers that no device can have', () => {
    const beyond: LinuxDeviceCgroup = { allow: true, type: 'c', major: 4096, minor: 4294967295, access: 'rwm' };
    expect(deviceFilter([denyAll, beyond])).toEqual(deviceFilter([denyAll]));
  });

  test('stays within 40 instructions for the usual rule, and decides /dev/null within 20', () => {
    const program = deviceFilter([denyAll]);
    expect(program.length / INSN_SIZE).toBeLessThanOrEqual(40);
    expect(interpret(program, asks('c 1:3', 'rw')).steps).toBeLessThanOrEqual(20);
  });

  test('allows a check that asks for no access, such as access(2) with F_OK', () => {
    expect(allows([denyAll], { type: 'b', major: 8, minor: 0, access: '' })).toBe(true);
  });

  test('compiles a thousand rules', () => {
    const rules = Array.from(
      { length: 1000 },
      (_, index): LinuxDeviceCgroup => ({
        allow: index % 3 !== 0,
        type: index % 2 ? 'b' : 'c',
        major: index % 41,
        minor: index,
        access: ['r', 'w', 'rw', 'rwm'][index % 4] as string,
      }),
    );
    const program = deviceFilter([denyAll, ...rules]);
    expectSound(program);
    for (let index = 0; index < 1000; index += 7) {
      const one = { type: index % 2 ? 'b' : 'c', major: index % 41, minor: index, access: 'rw' } as const;
      expect(interpret(program, one).verdict).toBe(simulate([denyAll, ...rules], one));
    }
  });

  test.each([
    [{ allow: true, type: 'u', access: 'r' }, '/linux/resources/devices/0/type'],
    [{ allow: true, type: 'c', access: '' }, '/linux/resources/devices/0/access'],
    [{ allow: true, type: 'c' }, '/linux/resources/devices/0/access'],
    [{ allow: true, type: 'c', access: 'rx' }, '/linux/resources/devices/0/access'],
    [{ allow: true, type: 'c', major: 1.5, access: 'r' }, '/linux/resources/devices/0/major'],
    [{ allow: true, type: 'c', minor: 2 ** 32, access: 'r' }, '/linux/resources/devices/0/minor'],
  ])('refuses %j', (bad, pointer) => {
    const rules = [bad as LinuxDeviceCgroup];
    expect(() => deviceFilter(rules)).toThrow(ConfigError);
    expect(() => deviceFilter(rules)).toThrow(pointer);
  });

  test('names all bad rules at once', () => {
    const bad = { allow: true, type: 'x', access: 'q' } as unknown as LinuxDeviceCgroup;
    try {
      deviceFilter([bad, denyAll, bad]);
      expect.unreachable();
    } catch (error) {
      expect((error as ConfigError).problems.map((problem) => problem.pointer)).toEqual([
        '/linux/resources/devices/0/type',
        '/linux/resources/devices/0/access',
        '/linux/resources/devices/2/type',
        '/linux/resources/devices/2/access',
      ]);
    }
  });
});

describe('the eBPF printer', () => {
  test('shows the program for the usual rule line by line', () => {
    expect(printEbpf(deviceFilter([denyAll]))).toMatchInlineSnapshot(`
      [
        "0: r2 = *(u32 *)(r1 + 0)",
        "1: w3 = w2",
        "2: w2 &= 0xffff",
        "3: w3 >>= 16",
        "4: r4 = *(u32 *)(r1 + 4)",
        "5: r5 = *(u32 *)(r1 + 8)",
        "6: if r2 != 2 goto 19",
        "7: if r4 != 10 goto 9",
        "8: if r5 == 200 goto 23",
        "9: if r4 == 136 goto 23",
        "10: if r4 != 5 goto 13",
        "11: if r5 == 2 goto 23",
        "12: if r5 == 0 goto 23",
        "13: if r4 != 1 goto 19",
        "14: if r5 == 9 goto 23",
        "15: if r5 == 8 goto 23",
        "16: if r5 == 7 goto 23",
        "17: if r5 == 5 goto 23",
        "18: if r5 == 3 goto 23",
        "19: w3 &= 0xfffffffe",
        "20: if r3 == 0 goto 23",
        "21: w0 = 0",
        "22: exit",
        "23: w0 = 1",
        "24: exit",
      ]
    `);
  });

  test('shows partial accesses', () => {
    const lines = printEbpf(deviceFilter([allowAll, { allow: false, type: 'b', major: 8, minor: 1, access: 'w' }]));
    expect(lines.join('\n')).toContain('if r3 & 0x4 goto');
    expect(lines.join('\n')).toContain('w3 &= 0xfffffffe');
  });

  test('shows foreign instructions as fields and leaves out half an instruction', () => {
    const bytes = new Uint8Array([0x18, 0x21, 0xff, 0xff, 0x05, 0, 0, 0, 0x95, 0]);
    expect(printEbpf(bytes)).toEqual(['0: code 0x18 dst 1 src 2 off -1 imm 5']);
  });

  test('reads a view into a larger buffer', () => {
    const whole = new Uint8Array(24);
    whole[8] = 0x95;
    expect(printEbpf(whole.subarray(8, 16))).toEqual(['0: exit']);
  });
});

describe('the eBPF assembler', () => {
  test('writes struct bpf_insn in little endian', () => {
    const program = new EbpfProgram();
    const end = program.label();
    program.loadWord(4, 1, 8);
    program.jumpIf(4, '!=', 0x01020304, end);
    program.wMove(0, -1);
    program.place(end);
    program.exit();
    expect([...program.assemble()]).toEqual([
      ...[0x61, 0x14, 8, 0, 0, 0, 0, 0],
      ...[0x55, 0x04, 1, 0, 4, 3, 2, 1],
      ...[0xb4, 0x00, 0, 0, 0xff, 0xff, 0xff, 0xff],
      ...[0x95, 0x00, 0, 0, 0, 0, 0, 0],
    ]);
  });

  test('refuses a jump that does not fit into 16 bits', () => {
    const program = new EbpfProgram();
    const far = program.label();
    program.jump(far);
    for (let index = 0; index < 32768; index += 1) program.wMove(0, 0);
    program.place(far);
    program.exit();
    expect(() => program.assemble()).toThrow('more than 32767 instructions');
  });

  test('refuses a label that was never placed', () => {
    const program = new EbpfProgram();
    program.jump(program.label());
    expect(() => program.assemble()).toThrow('never placed');
  });
});
