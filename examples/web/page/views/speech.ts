import { css, intensity, viridis, type Scale } from '../colours.js';
import { byId, element, prepareCanvas } from '../dom.js';
import type { Input } from '../sources.js';
import { labelOf, secondsPerPosition, spokenWords, type SpokenWord } from './labels.js';
import { pickable, positionAlong, type Pick } from './pick.js';
import { paintWords } from './words.js';

/** How much darker the sound is where no attention is. */
const DIMMED = 0.55;
/** What dims it, in both themes: a spotlight in the dark. */
const DARKNESS = [10, 8, 16] as const;

/** A recording as spectrogram, to look at and to listen to; the position follows while it plays. */
export class SpeechView {
  private readonly box = byId('speech-view');
  private readonly frame = byId('spectrogram');
  private readonly audio = byId<HTMLAudioElement>('audio');
  private input: Input | undefined;
  private words: SpokenWord[] = [];
  private spans: HTMLElement[] = [];
  private weights: Float32Array | undefined;
  private scale: Scale = 'log';

  constructor(private readonly pick: Pick) {
    pickable(this.frame, pick, positionAlong(this.frame, () => this.input?.shape.length ?? 1));
    const transcript = byId('transcript');
    const wordAt = (event: Event): number | undefined => {
      const span = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-word]') : null;
      const word = span && this.words[Number(span.dataset.word)];
      return word ? Math.floor((word.first + word.last) / 2) : undefined;
    };
    pickable(transcript, pick, wordAt);
    this.audio.addEventListener('play', () => this.follow());
    this.audio.addEventListener('seeked', () => this.followOnce());
  }

  showInput(input: Input): void {
    this.box.hidden = !input.speech;
    this.input = input;
    this.weights = undefined;
    if (!input.speech) {
      this.audio.pause();
      return;
    }
    if (this.audio.src !== input.speech.audio) this.audio.src = input.speech.audio;
    this.frame.setAttribute('aria-valuemin', '0');
    this.frame.setAttribute('aria-valuemax', String(input.shape.length - 1));
    this.words = spokenWords(input);
    this.spans = this.words.map((word, index) => {
      const span = element('span', 'token word', word.text);
      span.dataset.word = String(index);
      return span;
    });
    byId('transcript').replaceChildren(...this.spans.flatMap((span) => [span, ' ']));
    this.drawSound();
  }

  showPosition(position: number): void {
    if (!this.input?.speech) return;
    this.revealWord(position);
    byId('sound-needle').style.left = `${((position + 0.5) / this.input.shape.length) * 100}%`;
    this.frame.setAttribute('aria-valuenow', String(position));
    this.frame.setAttribute('aria-valuetext', labelOf(this.input, position));
    this.words.forEach((word, index) =>
      this.spans[index].classList.toggle('selected', position >= word.first && position <= word.last),
    );
  }

  /** Scrolls the transcript, and nothing but it. */
  private revealWord(position: number): void {
    const index = this.words.findIndex((word) => position >= word.first && position <= word.last);
    const span = this.spans[index];
    const box = byId('transcript');
    if (!span || box.scrollHeight <= box.clientHeight) return;
    const outside = span.offsetTop < box.scrollTop || span.offsetTop + span.offsetHeight > box.scrollTop + box.clientHeight;
    if (outside) box.scrollTop = span.offsetTop - box.clientHeight / 2;
  }

  showWeights(weights: Float32Array, scale: Scale): void {
    if (!this.input?.speech) return;
    this.weights = weights;
    this.scale = scale;
    this.drawSpotlight();
    // A word's weight is that of all its positions.
    const sums = this.words.map((word) => weights.subarray(word.first, word.last + 1).reduce((a, b) => a + b, 0));
    paintWords(this.spans, sums, scale);
  }

  redraw(): void {
    if (!this.input?.speech) return;
    this.drawSound();
    this.drawSpotlight();
  }

  private drawSound(): void {
    const speech = this.input?.speech;
    if (!speech) return;
    const { picture } = speech;
    const canvas = byId<HTMLCanvasElement>('sound');
    canvas.width = picture.width;
    canvas.height = picture.height;
    const context = canvas.getContext('2d', { willReadFrequently: true });
    if (!context) return;
    context.drawImage(picture, 0, 0);
    const pixels = context.getImageData(0, 0, picture.width, picture.height);
    for (let index = 0; index < pixels.data.length; index += 4) {
      const [red, green, blue] = viridis(pixels.data[index] / 255);
      pixels.data[index] = red;
      pixels.data[index + 1] = green;
      pixels.data[index + 2] = blue;
    }
    context.putImageData(pixels, 0, 0);
  }

  /** Attention is light: what gets none lies in the dark, what gets much shows the sound undimmed. */
  private drawSpotlight(): void {
    if (!this.weights) return;
    const canvas = byId<HTMLCanvasElement>('spotlight');
    const context = prepareCanvas(canvas);
    const { weights } = this;
    const largest = weights.reduce((a, b) => Math.max(a, b), 0);
    for (let column = 0; column < canvas.width; column += 1) {
      const first = Math.floor((column * weights.length) / canvas.width);
      const last = Math.max(first + 1, Math.floor(((column + 1) * weights.length) / canvas.width));
      let weight = 0;
      for (let position = first; position < last; position += 1) weight = Math.max(weight, weights[position]);
      const light = intensity(weight, largest, this.scale);
      context.fillStyle = css(DARKNESS, DIMMED * (1 - light));
      context.fillRect(column, 0, 1, canvas.height);
    }
  }

  private follow(): void {
    if (this.audio.paused || this.audio.ended || !this.input?.speech) {
      this.pick.hover(undefined);
      this.followOnce();
      return;
    }
    this.pick.hover(this.heard());
    requestAnimationFrame(() => this.follow());
  }

  private followOnce(): void {
    if (this.audio.paused && this.audio.currentTime > 0) this.pick.keep(this.heard(), 'replace');
  }

  private heard(): number {
    if (!this.input) return 0;
    return Math.min(this.input.shape.length - 1, Math.floor(this.audio.currentTime / secondsPerPosition(this.input)));
  }
}
