import { clusterColour, css, type Scale } from '../colours.js';
import { byId, element } from '../dom.js';
import type { Input } from '../sources.js';
import { plainToken } from './labels.js';
import { pickable, type Pick } from './pick.js';
import type { HeadGroups } from './tracks.js';
import { paintWords } from './words.js';

/** A passage as words, each a position. */
export class TextView {
  private readonly box = byId('text-view');
  private spans: HTMLElement[] = [];
  private groups: HeadGroups | undefined;
  private position = 0;

  constructor(pick: Pick) {
    pickable(this.box, pick, (event) => {
      const span = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-token]') : null;
      return span ? Number(span.dataset.token) : undefined;
    });
  }

  showInput(input: Input): void {
    this.box.hidden = !input.text;
    this.groups = undefined;
    if (!input.text) return;
    this.spans = input.text.tokens.map((token, position) => {
      const span = element('span', token.startsWith('##') ? 'token piece' : 'token', plainToken(token));
      span.id = `token-${position}`;
      span.dataset.token = String(position);
      span.setAttribute('role', 'option');
      span.setAttribute('aria-selected', 'false');
      return span;
    });
    const words: HTMLElement[] = [];
    input.text.tokens.forEach((token, position) => {
      // Continuation pieces and closing punctuation stay with what they belong to.
      const continues = token.startsWith('##') || /^[.,;:!?)'’]+$/.test(token);
      if (!continues || words.length === 0) {
        const word = element('span', 'whole');
        word.setAttribute('role', 'presentation');
        words.push(word);
      }
      words[words.length - 1].append(this.spans[position]);
    });
    this.box.replaceChildren(...words.flatMap((word) => [word, ' ']));
  }

  showPosition(position: number, kept: boolean): void {
    const before = this.spans[this.position];
    before?.setAttribute('aria-selected', 'false');
    this.position = position;
    const span = this.spans[position];
    if (!span) return;
    span.setAttribute('aria-selected', 'true');
    this.box.setAttribute('aria-activedescendant', span.id);
    if (kept) this.scrollTo(span);
    this.markTopKeys();
  }

  showGroups(groups: HeadGroups): void {
    if (this.box.hidden) return;
    this.groups = groups;
    this.spans.forEach((span, position) => {
      span.style.borderBottomColor = css(clusterColour(groups.clusters[position]));
    });
    this.markTopKeys();
  }

  showWeights(weights: Float32Array, scale: Scale): void {
    if (!this.box.hidden && weights.length === this.spans.length) paintWords(this.spans, weights, scale);
  }

  private markTopKeys(): void {
    if (!this.groups) return;
    const top = new Set(this.groups.topKeys(this.groups.clusters[this.position]));
    this.spans.forEach((span, position) => span.classList.toggle('top-key', top.has(position)));
  }

  /** Within the box only: the page itself must not move under the visitor. */
  private scrollTo(span: HTMLElement): void {
    const { box } = this;
    const top = span.offsetTop;
    if (top < box.scrollTop + 8) box.scrollTop = top - 24;
    else if (top + span.offsetHeight > box.scrollTop + box.clientHeight - 8) {
      box.scrollTop = top + span.offsetHeight - box.clientHeight + 24;
    }
  }
}
