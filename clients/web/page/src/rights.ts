/** Who may do what on the land of an estate: the server's rule, as far as this client knows. */
import { Level, type PlayerPrivate, type Terms } from "./gen/pioneer_pb.js";

/** What somebody wants to do on land. */
export type Act = "gather" | "build" | "demolish";

/** Whether a player may do this on land of these terms. Nobody's land is no estate's. */
export function may({ deeds, friends, guild }: PlayerPrivate, { estate, owner, rights }: Terms, act: Act): boolean {
  const level = rights?.[act] ?? Level.OWNER;
  const isFriend = friends.some(({ id }) => id === owner?.id);
  const isMember = guild !== undefined && guild.id === rights?.guild;
  return deeds.includes(estate) || level === Level.EVERYBODY || (level >= Level.FRIENDS && isFriend) || (level >= Level.GUILD && isMember);
}
