// The verbs that a life of a container does without; each is read when it is called.

import type { Invocation } from './args.ts';
import type { Context } from './main.ts';

type HotVerb = 'run' | 'create' | 'start' | 'state' | 'kill' | 'delete' | 'exec';

export async function dispatchOther(
  invocation: Exclude<Invocation, { command: HotVerb }>,
  context: Context,
): Promise<number> {
  switch (invocation.command) {
    case 'pause':
      return (await import('./pause.ts')).pause(invocation, context);
    case 'resume':
      return (await import('./pause.ts')).resume(invocation, context);
    case 'update':
      return (await import('./update.ts')).update(invocation, context);
    case 'ps':
      return (await import('./ps.ts')).ps(invocation, context);
    case 'events':
      return (await import('./events.ts')).events(invocation, context);
    case 'stats':
      return (await import('./stats.ts')).stats(invocation, context);
    case 'list':
      return (await import('./list.ts')).list(invocation, context);
    case 'spec':
      return (await import('./spec.ts')).spec(invocation);
    case 'explain':
      return (await import('./explain.ts')).explain(invocation, context);
    case 'features':
      return (await import('./features.ts')).showFeatures();
    case 'seccomp':
      return (await import('./seccomp.ts')).seccomp(invocation);
    case 'commit':
      return await (await import('./commit.ts')).commit(invocation, context);
    case 'unpack':
      return (await import('./unpack.ts')).unpack(invocation, context);
    case 'images':
      return (await import('./images.ts')).images(invocation, context);
    case 'image':
      return (await import('./image.ts')).image(invocation, context);
    case 'completion':
      return (await import('./show-completion.ts')).showCompletion(invocation);
    case 'man':
      return (await import('./show-man.ts')).showMan();
    case 'help':
      return (await import('./show.ts')).showHelp(invocation);
    case 'version':
      return (await import('./show.ts')).showVersion();
    default:
      return invocation satisfies never;
  }
}
