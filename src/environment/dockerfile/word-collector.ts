// Gathers what comes out of an expansion, as one text and as words.

import { isSpace } from './whitespace.ts';

export class WordCollector {
  private readonly all: string[] = [];
  private readonly words: string[] = [];
  private word = '';

  /** A character that was written: a space ends the word. */
  addCharacter(character: string): void {
    this.all.push(character);
    this.split(character);
  }

  /** A variable's value: its spaces end words too. */
  addExpanded(text: string): void {
    this.all.push(text);
    for (const character of text) this.split(character);
  }

  /** Quoted or escaped: its spaces are part of the word. */
  addRaw(text: string): void {
    this.all.push(text);
    this.word += text;
  }

  result(): { text: string; words: string[] } {
    this.endWord();
    return { text: this.all.join(''), words: this.words };
  }

  private split(character: string): void {
    if (isSpace(character)) this.endWord();
    else this.word += character;
  }

  private endWord(): void {
    // An empty quoted word is none: so BuildKit has it.
    if (this.word !== '') this.words.push(this.word);
    this.word = '';
  }
}
