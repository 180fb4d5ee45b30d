/** A polite no: the command, or the connection, was refused without effect. */
export class Refusal extends Error {
  override readonly name = "Refusal";

  constructor(
    /** Stable, snake_case: what programs look at. */
    readonly code: string,
    /** One friendly sentence: what people read. */
    readonly text: string,
  ) {
    super(`${code}: ${text}`);
  }
}
