// A program of the 32-bit architecture that this machine's processor and kernel run too: x86 beside x86_64, arm beside
// aarch64. It is put together here, so that no second compiler and no second C library is needed.

const BASE = 0x10000;
const HEADERS = 52 + 32;

/** The call with the number in eax; then exit(2) with its errno. */
const x86 = (number: number): number[] => [
  ...[0xb8, ...word(number)], // mov eax, N
  ...[0xcd, 0x80], // int 0x80
  ...[0x31, 0xdb], // xor ebx, ebx
  ...[0x85, 0xc0], // test eax, eax
  ...[0x79, 0x04], // jns over the next two
  ...[0xf7, 0xd8], // neg eax
  ...[0x89, 0xc3], // mov ebx, eax
  ...[0xb8, ...word(1)], // mov eax, 1
  ...[0xcd, 0x80],
];

/** The same; a number has to fit the immediate of mov, which takes 8 bits. */
const arm = (number: number): number[] =>
  [
    0xe3a00000, // mov r0, #0
    0xe3a07000 | number, // mov r7, #N
    0xef000000, // svc 0
    0xe3500000, // cmp r0, #0
    0xb2600000, // rsblt r0, r0, #0
    0xa3a00000, // movge r0, #0
    0xe3a07001, // mov r7, #1
    0xef000000, // svc 0
  ].flatMap(word);

function word(value: number): number[] {
  return [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, (value >>> 24) & 255];
}

/** An executable (elf(5)) that makes one system call with zeroes, and ends with the errno that it got, or 0. */
export function narrowProgram(number: number): Buffer {
  const isArm = process.arch === 'arm64';
  const code = Buffer.from((isArm ? arm : x86)(number));
  const elf = Buffer.alloc(HEADERS);
  elf.write('\x7fELF\x01\x01\x01', 'latin1');
  elf.writeUInt16LE(2, 16); // ET_EXEC
  elf.writeUInt16LE(isArm ? 40 : 3, 18);
  elf.writeUInt32LE(1, 20);
  elf.writeUInt32LE(BASE + HEADERS, 24); // entry
  elf.writeUInt32LE(52, 28); // program headers
  elf.writeUInt32LE(isArm ? 0x05000000 : 0, 36); // the flags of EABI 5
  elf.writeUInt16LE(52, 40);
  elf.writeUInt16LE(32, 42);
  elf.writeUInt16LE(1, 44);
  const size = HEADERS + code.length;
  // PT_LOAD of all of the file, readable and executable, aligned for pages of 64 KiB.
  [1, 0, BASE, BASE, size, size, 5, 0x10000].forEach((value, index) => elf.writeUInt32LE(value, 52 + index * 4));
  return Buffer.concat([elf, code]);
}
