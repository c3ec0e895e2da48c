import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { type Command, commands } from '../../src/cli/commands.ts';
import { completionScript } from '../../src/cli/completion.ts';
import { manualPage } from '../../src/cli/man.ts';

const all = Object.entries<Command>(commands).filter(([, { hidden }]) => !hidden);

/** What bash would offer for a command line whose last word is being written. */
function offers(...words: string[]): string[] {
  const script = `${completionScript('bash')}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _tsrun
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync('bash', ['-c', script], { encoding: 'utf8', cwd: '/' });
  expect(stderr, `${status}`).toBe('');
  return stdout.split('\n').filter(Boolean);
}

describe('completion', () => {
  test('of bash offers verbs, flags of a verb, values and files', () => {
    expect(offers('tsrun', 'unp')).toEqual(['unpack']);
    expect(offers('tsrun', '--log', 'x', 'run', '--max-')).toEqual(['--max-size', '--max-entries']);
    expect(offers('tsrun', '--cgroup-manager', 's')).toEqual(['systemd']);
    expect(offers('tsrun', 'list', '--format', '')).toEqual(['table', 'json']);
    expect(offers('tsrun', 'unpack', 'et')).toEqual(['etc']);
    expect(offers('tsrun', 'image', '')).toEqual(['inspect', 'rm', 'prune']);
    expect(offers('tsrun', 'image', 'rm', 'et')).toEqual(['etc']);
    expect(offers('tsrun', 'image', '-')).toEqual(['--help']);
    expect(offers('tsrun', 'run', 'et')).toEqual(['etc']);
    expect(offers('tsrun', '')).toEqual(all.map(([name]) => name));
  });

  test.each(['bash', 'zsh', 'fish'] as const)('of %s names each verb and each flag', (shell) => {
    const script = completionScript(shell);
    for (const [name, { flags }] of all) {
      expect(script).toContain(name);
      for (const flag of flags.filter(({ hidden }: { hidden?: true }) => !hidden)) {
        expect(script, name).toContain(shell === 'fish' ? `-l ${flag.name}` : `--${flag.name}`);
      }
    }
  });
});

describe('the manual page', () => {
  const page = manualPage('1.2.3');

  test('has each command and each flag', () => {
    for (const [name, { flags }] of all) {
      expect(page).toContain(`.SS ${name.replaceAll('-', '\\-')}`);
      for (const flag of flags.filter(({ hidden }: { hidden?: true }) => !hidden))
        expect(page, name).toContain(`\\-\\-${flag.name.replaceAll('-', '\\-')}`);
    }
  });

  test('has no line that troff would take for a request but for ours', () => {
    const requests = page.split('\n').filter((line) => /^[.']/.test(line));
    for (const line of requests) expect(line).toMatch(/^\.(TH|SH|SS|B|BR|I|PP|TP)( |$)/);
  });
});
