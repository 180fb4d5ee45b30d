//! How a client enters: its Hello, locating its player, the welcome.

use bytes::Bytes;
use gundo_types::{ConnId, EntityId, NodeId, Planted, Term};
use gundo_wire::client::{Hello, PROTOCOL, ServerMessage, Welcome};
use sha2::{Digest, Sha256};

use super::invited;
use super::room::{Edge, Rooms, edges};
use super::session::Phase;
use crate::game::Refusal;
use crate::io::SendClass;
use crate::peer::{Code, HomeMessage, Key, Line, NoCode, Opened, Placed, ToPlayer, Token, to_player};

/// How long new players are to wait while the node admits none, ms.
const CLOSED_RETRY_MS: u32 = 5_000;
/// How long new players are to wait at least while too many come from where they are, ms.
const NEWCOMER_RETRY_MS: u32 = 1_000;

/// Refusals of those who may not be new players.
const NOT_INVITED: [&str; 3] = ["invitation_needed", "bad_invitation", "no_newcomers"];

impl Edge {
    pub(super) fn greet(&mut self, cx: &mut Rooms<'_>, conn: ConnId, hello: Hello) {
        if cx.core.is_draining() {
            return self.send_away(cx, conn);
        }
        if cx.core.is_off() {
            cx.core.counters.refused_clock_off += 1;
            let text = "The clock of this server is wrong. Try another one, or this one in a moment.";
            return self.close(cx, conn, "clock_off", text, CLOSED_RETRY_MS);
        }
        if hello.protocol != PROTOCOL {
            let text = format!("This server speaks protocol {PROTOCOL}. Please update your client.");
            return self.refuse_hello(cx, conn, Refusal::new("bad_protocol", text));
        }
        if !hello.world_id.is_empty() && hello.world_id != cx.core.settings.secret.world_id().as_slice() {
            return self.refuse_world(cx, conn);
        }
        let has_key = !hello.token.is_empty() || !hello.recovery.is_empty();
        let invited = if has_key { Ok(None) } else { invited::admit(cx, &hello) };
        let invited = match invited {
            Ok(invited) => invited,
            Err(refusal) => return self.refuse_hello(cx, conn, refusal),
        };
        if !has_key && cx.overload.is_closed() {
            cx.core.counters.refused_busy_world += 1;
            let text =
                "So much is going on here that nobody new can come in just now. Try again in a moment.";
            return self.close(cx, conn, "busy_world", text, CLOSED_RETRY_MS);
        }
        let is_code = hello.token.is_empty() && !hello.recovery.is_empty();
        if is_code && !self.may_try(cx, conn) {
            return;
        }
        let read = if is_code { code_of(cx, &hello) } else { key_of(&hello) };
        let (id, key) = match read {
            Ok((id, key)) => (invited.unwrap_or(id), key),
            Err(refusal) => return self.refuse_hello(cx, conn, refusal),
        };
        let player = EntityId::new(cx.core.settings.rules.player_kind(), id);
        // A token that this world has not made ends here: a flood of them costs no read of the journal.
        let forged = matches!(key, Key::Token(token) if !cx.core.settings.secret.made(player, token));
        if forged && !cx.core.planted(Planted::TokenUnchecked) {
            return self.refuse_world(cx, conn);
        }
        if matches!(key, Key::Old(_)) && !self.old_tokens.take(cx.core.now.time) {
            cx.core.counters.refused_old_token += 1;
            let text = "Too many old keys are being looked up. Try again in a moment.";
            return self.close_for_now(cx, conn, "busy", text);
        }
        let most = cx.core.world().limits.connections_max;
        let is_new = matches!(key, Key::Nonce(_));
        if !self.seats.admit(player, is_new, most, cx.core.now.time) {
            return self.refuse_full(cx, conn, is_new);
        }
        if is_new && !self.count_newcomer(cx, conn) {
            return;
        }
        self.seats.take(player);
        let session = self.sessions.get_mut(&conn).expect("only a session says hello");
        (session.is_seated, session.is_invited) = (true, invited.is_some());
        session.greet(player, key, hello.name, cx.core.now.time);
        session.place = Placed::open(&hello.place, &cx.core.settings.secret, player);
        if cx.core.planted(Planted::SealUnchecked) {
            session.place = Placed::unsealed(&hello.place);
        }
        self.locate(cx, player, conn, None);
    }

    /// Whether somebody may try a recovery code: as many as new players from where it comes from. One that is good is given back.
    fn may_try(&mut self, cx: &mut Rooms<'_>, conn: ConnId) -> bool {
        if self.sessions.get(&conn).is_some_and(|session| session.from.is_some()) {
            return self.count_newcomer(cx, conn);
        }
        let may = self.codes.take(cx.core.now.time);
        if !may {
            let text = "Too many codes are being tried. Try again in a moment.";
            self.close_for_now(cx, conn, "busy", text);
        }
        may
    }

    /// Counts a new player where its client comes from. False: there were too many, and the connection is closed.
    fn count_newcomer(&mut self, cx: &mut Rooms<'_>, conn: ConnId) -> bool {
        let session = self.sessions.get_mut(&conn).expect("only a session says hello");
        let Some(from) = session.from else { return true };
        let Err(wait_ms) = self.newcomers.take(from, &cx.core.world().limits, cx.core.now.time) else {
            session.is_counted = true;
            return true;
        };
        cx.core.counters.refused_too_many_new += 1;
        let text = "Many new players have come from where you are. Please wait a little before the next one.";
        let retry_ms = u32::try_from(wait_ms).unwrap_or(u32::MAX).max(NEWCOMER_RETRY_MS);
        self.close(cx, conn, "too_many_new", text, retry_ms);
        false
    }

    pub(super) fn locate(
        &mut self,
        cx: &mut Rooms<'_>,
        player: EntityId,
        conn: ConnId,
        not: Option<(NodeId, Term)>,
    ) {
        self.locating.entry(player).or_default().insert(conn);
        assert!(self.sessions.get(&conn).is_some_and(|s| s.player == player), "a session locates its player");
        if let Some(home) = cx.core.home_of(player) {
            cx.core.send_home(home, HomeMessage::Locate { entity: player, not });
        }
    }

    /// A new view: homes may have changed, so it repeats its questions. Or messages were lost: it repeats those to `only` one home.
    pub(crate) fn ask_homes_again(&mut self, cx: &mut Rooms<'_>, only: Option<NodeId>) {
        self.register_again(cx.core, only);
        for player in self.locating.keys().copied() {
            let home = cx.core.home_of(player);
            if let Some(home) = home.filter(|home| only.is_none_or(|node| node == *home)) {
                cx.core.send_home(home, HomeMessage::Locate { entity: player, not: None });
            }
        }
    }

    /// The home's answer: `holder` owns the player.
    pub(crate) fn on_located(&mut self, cx: &mut Rooms<'_>, player: EntityId, holder: NodeId, term: Term) {
        let me = cx.core.me();
        for conn in self.locating.remove(&player).unwrap_or_default() {
            let session = self.sessions.get_mut(&conn).expect("only sessions locate players");
            // Its player has been found meanwhile: this answers a repeated question.
            if session.is(Phase::Playing) || session.is(Phase::Greeting) {
                continue;
            }
            (session.holder, session.term) = (holder, term);
            if session.is(Phase::Moving) {
                self.ask_to_resume(cx, conn);
                continue;
            }
            session.open();
            let (key, name) = (session.key, session.name.clone());
            let message = ToPlayer::Open { key, name, place: session.place };
            cx.core.send(holder, to_player(player, Line { edge: me, conn }, message));
        }
    }

    pub(super) fn welcome(&mut self, cx: &mut Rooms<'_>, conn: ConnId, from: NodeId, opened: Opened) {
        // It made no player.
        if opened.adoption > 1 {
            self.give_back(cx.core, conn);
        }
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        session.is_counted = false;
        session.welcome();
        session.holder = from;
        (session.adoption, session.body) = (opened.adoption, opened.body);
        let player = session.player;
        let mut token = player.id.to_be_bytes().to_vec();
        token.extend(&opened.token);
        let welcome = Welcome {
            player: Some(player.into()),
            token: token.into(),
            next_seq: opened.next_seq,
            tick_ms: cx.core.world().tick_ms,
            world_ms: cx.core.now.world.0,
            node: u32::from(cx.core.me().0),
            edges: Some(edges(cx.core)),
            world: cx.core.settings.rules.welcome_bytes(),
            island: u32::from(opened.body.island),
            x: opened.body.at.x,
            y: opened.body.at.y,
            heading: u32::from(opened.body.heading),
            own: opened.own,
            chunk_mm: gundo_types::CHUNK_MM as u32,
            motion_unit_mm: gundo_types::MOTION_UNIT_MM as u32,
            adoption: opened.adoption as u32,
            life: cx.core.settings.incarnation,
            recovery: match opened.code {
                0 => String::new(),
                number => cx.core.settings.secret.code(player, number).to_string(),
            },
        };
        let message = ServerMessage { welcome: Some(welcome), world_id: world_id(cx), ..Default::default() };
        cx.core.send_client(conn, &message, SendClass::Kept);
        self.look_from(cx, conn, opened.center);
    }

    /// The client looks for another world, or has a token of one. Its key is good there: it must keep it.
    fn refuse_world(&mut self, cx: &mut Rooms<'_>, conn: ConnId) {
        cx.core.counters.refused_unknown_world += 1;
        let text = "This is another world than the one your player lives in. Your key to that one is kept.";
        self.refuse_hello(cx, conn, Refusal::new("unknown_world", text));
    }

    /// Somebody with a token may have a place at another edge, and looks for it soon.
    fn refuse_full(&mut self, cx: &mut Rooms<'_>, conn: ConnId, is_new: bool) {
        let text = "This node is full. Please try again in a moment.";
        match is_new {
            true => self.close(cx, conn, "full", text, CLOSED_RETRY_MS),
            false => self.close_for_now(cx, conn, "full", text),
        }
    }

    pub(super) fn refuse_hello(&mut self, cx: &mut Rooms<'_>, conn: ConnId, mut refusal: Refusal) {
        if refusal.code == "bad_token" && self.sessions.get(&conn).is_some_and(|s| s.is_invited && s.opens())
        {
            refusal = invited::used();
        }
        if NOT_INVITED.contains(&&*refusal.code) {
            cx.core.counters.refused_not_invited += 1;
        }
        match self.sessions.get_mut(&conn) {
            // Codes that are guessed are not given back.
            Some(session) if refusal.code == "bad_code" => session.is_counted = false,
            _ => self.give_back(cx.core, conn),
        }
        if let Some(session) = self.sessions.get_mut(&conn) {
            session.refuse();
            let player = session.player;
            if std::mem::take(&mut session.is_seated) {
                self.seats.leave(player);
            }
            self.look_no_more(player, conn);
        }
        let (world_id, names) = (world_id(cx), cx.core.settings.rules.names_told());
        let refused = Some(wire_refusal(refusal));
        let newcomers = cx.core.world().newcomers.number();
        let reply = ServerMessage { refused, world_id, names, newcomers, ..Default::default() };
        cx.core.send_client(conn, &reply, SendClass::Kept);
    }
}

fn world_id(cx: &Rooms<'_>) -> Bytes {
    Bytes::copy_from_slice(&cx.core.settings.secret.world_id())
}

/// The player of a recovery code, if this world has made it.
fn code_of(cx: &Rooms<'_>, hello: &Hello) -> Result<(u64, Key), Refusal> {
    let wrong = |text: &'static str| Refusal::new("bad_code", text);
    let code = Code::read(&hello.recovery).map_err(|no| match no {
        NoCode::Form => wrong("A code has seven groups of five letters and digits."),
        NoCode::Mistyped => {
            wrong("There is a mistake in this code. Please compare it with what you have written down.")
        }
    })?;
    let player = EntityId::new(cx.core.settings.rules.player_kind(), code.player);
    if !cx.core.settings.secret.made_code(player, &code) {
        return Err(wrong("This code is not of this world."));
    }
    Ok((code.player, Key::Code(code.number)))
}

/// The player of a Hello, and the key that proves it.
fn key_of(hello: &Hello) -> Result<(u64, Key), Refusal> {
    if hello.token.is_empty() {
        let nonce = <[u8; 16]>::try_from(hello.nonce.as_ref()).map_err(|_| {
            let text = "A new player says hello with a nonce of 16 random bytes. Please update your client.";
            Refusal::new("bad_nonce", text)
        })?;
        // 63 random bits: no node has to ask another whether the id is free. They are the same wherever the hello is
        // repeated.
        let digest: [u8; 32] = Sha256::digest(nonce).into();
        let id = digest.first_chunk().map_or(0, |head| u64::from_be_bytes(*head)) & (u64::MAX >> 1);
        return Ok((id, Key::Nonce(nonce)));
    }
    let key = hello.token.split_first_chunk().and_then(|(id, secret)| {
        let key = match Token::from_bytes(secret) {
            Some(token) => Key::Token(token),
            None => Key::Old(secret.try_into().ok()?),
        };
        Some((u64::from_be_bytes(*id), key))
    });
    key.ok_or_else(|| Refusal::new("bad_token", "This key to your player is damaged."))
}

pub(super) fn wire_refusal(refusal: Refusal) -> gundo_wire::client::Refusal {
    let Refusal { code, text, retry_ms } = refusal;
    gundo_wire::client::Refusal { code: code.into_owned(), text: text.into_owned(), retry_ms }
}
