/** A polite no: the command, or the connection, was refused without effect. */
export class Refusal extends Error {
  override readonly name = "Refusal";

  constructor(
    /** Stable, snake_case, for programs. */
    readonly code: string,
    /** One friendly sentence, for people. */
    readonly text: string,
    /** When the same may be tried again, ms; 0: it does not depend on time, or nobody knows. */
    readonly retryMs = 0,
  ) {
    super(`${code}: ${text}`);
  }
}
