// `warren doctor --attack`: exit 1 when something did not hold.

import type { AttackView } from '../../protocol/attack.ts';
import { WarrenError } from '../../protocol/error.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { withClient, withProgress } from '../context.ts';
import { plural, print, printJson, say } from '../terminal.ts';
import { table } from './ls.ts';

const WORDS = { held: 'held', broken: 'BROKEN', 'not-run': 'not run' } as const;

export async function attack(flags: { json?: boolean; weaken?: string }): Promise<number> {
  const weaken = flags.weaken ?? null;
  if (weaken !== null && weaken !== 'host-service')
    throw new WarrenError({
      code: 'usage.attack',
      message: `cannot weaken ${JSON.stringify(weaken.slice(0, 80))}: there is no such defence`,
      remedy: 'warren doctor --attack --weaken host-service',
    });
  const views = await withClient((client) => withProgress((options) => client.attack({ weaken }, options)));
  const broken = views.filter(({ outcome }) => outcome === 'broken');
  if (flags.json) printJson(views);
  else {
    print(table(['CASE', 'TRIED', 'RESULT'], views.map(row)));
    const count = (outcome: AttackView['outcome']) => views.filter((view) => view.outcome === outcome).length;
    say(
      broken.length === 0
        ? `${plural(count('held'), 'attack')} held, ${count('not-run')} not run`
        : `BROKEN: ${broken.map(({ id }) => id).join(', ')}`,
    );
  }
  return broken.length > 0 ? 1 : 0;
}

function row({ id, tried, outcome, says }: AttackView): string[] {
  return [id, tried, says === '' ? WORDS[outcome] : `${WORDS[outcome]}: ${sanitizeLine(says, 200)}`];
}
