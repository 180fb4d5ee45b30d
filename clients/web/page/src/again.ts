/**
 * What was asked for while the connection was down. Minutes later nobody may want it any more, so it is not done without
 * asking: the person is offered it once, all of it together, in the order in which it was asked for.
 */

/** More than anybody asks for meanwhile: older wishes are forgotten. */
export const WISHES_MAX = 32;

interface Wish {
  /** In words: `say “hello”`. */
  readonly what: string;
  readonly grant: () => void;
}

/** See the top of the file. */
export class Again {
  private wishes: Wish[] = [];

  /** `show` tells the person what is offered; with an empty list nothing is. */
  constructor(private readonly show: (whats: readonly string[]) => void) {}

  /** Offers something that was not done. `grant` does it. */
  offer(what: string, grant: () => void): void {
    this.wishes = [...this.wishes, { what, grant }].slice(-WISHES_MAX);
    this.show(this.wishes.map((wish) => wish.what));
  }

  /** Does all that is offered, in order. */
  doNow(): void {
    for (const wish of this.take()) wish.grant();
  }

  /** Does nothing of it. */
  leave(): void {
    this.take();
  }

  private take(): Wish[] {
    const { wishes } = this;
    this.wishes = [];
    this.show([]);
    return wishes;
  }
}
