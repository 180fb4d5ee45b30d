//! A [`Session`] and a [`Picture`] driven over a WebSocket on tokio.
//!
//! One task per client owns the session and the socket; the handle talks to it through channels. Dropping the handle logs
//! the player out.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use gundo_tls::rustls::ClientConfig;
use gundo_tls::{FileFault, Trust, client_config, server_name};
use gundo_types::{Body, EntityId, Time};
use gundo_wire::Message;
use gundo_wire::client::{Refusal, ServerMessage};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Duration, sleep_until};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::address::Address;
use crate::picture::{Picture, PictureEvent};
use crate::session::{CommandId, Event, Output, Session, SessionSettings};

/// Wishes that may wait for the task; beyond that, callers wait.
const WISHES_MAX: usize = 256;
/// Events that may wait for the user; beyond that the task waits, so read them.
const EVENTS_MAX: usize = 1_024;

/// Why a command has no reply.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CommandError {
    /// The game or the engine refused the command; nothing happened.
    #[error("refused ({}): {}", .0.code, .0.text)]
    Refused(Refusal),
    /// Too many commands wait for an answer.
    #[error("too many commands wait for an answer")]
    Full,
    /// The client has ended.
    #[error("the client has ended")]
    Ended,
}

enum Wish {
    Command(Bytes, oneshot::Sender<Result<Bytes, CommandError>>),
    Walk(Body),
    Watch(EntityId),
    Unwatch(EntityId),
    WantStats(bool),
    Introduce(String),
    Recover(String),
    ShowInvitation(String),
    Leave,
}

/// A player's connection to a world, which reconnects by itself.
pub struct Client {
    wishes: mpsc::Sender<Wish>,
    picture: Arc<Mutex<Picture>>,
}

/// The events of a [`Client`], in order.
pub type Events = mpsc::Receiver<(Option<Event>, Vec<PictureEvent>)>;

impl Client {
    /// Starts connecting. Read the events: when [`Events`] is full, the task waits. Call it on a tokio runtime. If the
    /// settings have no nonce, it draws one. Over TLS it trusts servers that this machine trusts.
    ///
    /// # Panics
    /// If `settings.edges` is empty, or outside a tokio runtime.
    pub fn start(settings: SessionSettings) -> (Self, Events) {
        Self::start_trusting(settings, Trust::System)
    }

    /// The same, with a word on which servers it trusts over TLS.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_trusting(mut settings: SessionSettings, trust: Trust) -> (Self, Events) {
        settings.nonce.get_or_insert_with(draw_nonce);
        let (wishes, wishes_rx) = mpsc::channel(WISHES_MAX);
        let (events, events_rx) = mpsc::channel(EVENTS_MAX);
        let picture = Arc::new(Mutex::new(Picture::new()));
        let task = Task {
            session: Session::new(settings),
            picture: Arc::clone(&picture),
            begun: Instant::now(),
            socket: None,
            opening: None,
            trust,
            config: None,
            answers: HashMap::new(),
            wishes: wishes_rx,
            events,
        };
        tokio::spawn(task.run());
        (Self { wishes, picture }, events_rx)
    }

    /// Sends a command and waits for its answer, across reconnects.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub async fn command(&self, payload: impl Into<Bytes>) -> Result<Bytes, CommandError> {
        let (tx, rx) = oneshot::channel();
        self.wishes.send(Wish::Command(payload.into(), tx)).await.map_err(|_| CommandError::Ended)?;
        rx.await.unwrap_or(Err(CommandError::Ended))
    }

    /// Asks for the body to be at `body` now. Without a connection the move is dropped.
    pub async fn walk(&self, body: Body) {
        self.wish(Wish::Walk(body)).await;
    }

    /// Watches an entity by its id: see [`Session::watch`].
    pub async fn watch(&self, entity: EntityId) {
        self.wish(Wish::Watch(entity)).await;
    }

    /// Watches an entity no more.
    pub async fn unwatch(&self, entity: EntityId) {
        self.wish(Wish::Unwatch(entity)).await;
    }

    /// Turns the edge's statistics on or off.
    pub async fn want_stats(&self, on: bool) {
        self.wish(Wish::WantStats(on)).await;
    }

    /// After a refused hello: tries again as a new player called `name`.
    pub async fn introduce(&self, name: impl Into<String>) {
        self.wish(Wish::Introduce(name.into())).await;
    }

    /// After a refused hello: comes back with a recovery code (`Welcome.recovery`) that a person has written down.
    pub async fn recover(&self, code: impl Into<String>) {
        self.wish(Wish::Recover(code.into())).await;
    }

    /// After a refused hello (`invitation_needed`, `bad_invitation`): tries again with an invitation that a person has been given.
    pub async fn show_invitation(&self, invitation: impl Into<String>) {
        self.wish(Wish::ShowInvitation(invitation.into())).await;
    }

    /// Logs out on purpose; [`Event::Ended`] follows.
    pub async fn leave(&self) {
        self.wish(Wish::Leave).await;
    }

    /// The picture as of the last message. Do not hold it across an await.
    pub fn picture(&self) -> MutexGuard<'_, Picture> {
        self.picture.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wish(&self, wish: Wish) {
        // A client that has ended said so in its events, and drops the wish.
        let _ = self.wishes.send(wish).await;
    }
}

/// A connection with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

type Socket = WebSocketStream<Box<dyn Stream>>;
type Opening = tokio::task::JoinHandle<Result<Socket, tungstenite::Error>>;

struct Task {
    session: Session,
    picture: Arc<Mutex<Picture>>,
    begun: Instant,
    socket: Option<Socket>,
    opening: Option<Opening>,
    trust: Trust,
    /// What the first connection with TLS has made of `trust`.
    config: Option<Arc<ClientConfig>>,
    answers: HashMap<CommandId, oneshot::Sender<Result<Bytes, CommandError>>>,
    wishes: mpsc::Receiver<Wish>,
    events: mpsc::Sender<(Option<Event>, Vec<PictureEvent>)>,
}

enum Woken {
    Wish(Option<Wish>),
    Opened(Box<Result<Socket, tungstenite::Error>>),
    Heard(Option<Result<tungstenite::Message, tungstenite::Error>>),
    Timeout,
}

impl Task {
    async fn run(mut self) {
        self.session.start(self.now());
        loop {
            self.drain().await;
            if self.session.is_ended() {
                break;
            }
            let woken = self.wait().await;
            self.handle(woken).await;
        }
        for (_, answer) in self.answers.drain() {
            // The caller may have stopped waiting.
            let _ = answer.send(Err(CommandError::Ended));
        }
    }

    fn now(&self) -> Time {
        Time(self.begun.elapsed().as_micros() as u64)
    }

    async fn wait(&mut self) -> Woken {
        let due = self.session.poll_timeout();
        let due = due.map(|t| tokio::time::Instant::from_std(self.begun + Duration::from_micros(t.0)));
        let Self { socket, opening, wishes, .. } = self;
        tokio::select! {
            // Handle what has arrived before what is due: after this program slept, the answer it waited for may be there
            // already.
            biased;
            heard = async { socket.as_mut().expect("guarded").next().await }, if socket.is_some() => {
                Woken::Heard(heard)
            }
            wish = wishes.recv() => Woken::Wish(wish),
            opened = async { opening.as_mut().expect("guarded").await }, if opening.is_some() => {
                let opened = opened.unwrap_or(Err(tungstenite::Error::ConnectionClosed));
                Woken::Opened(Box::new(opened))
            }
            () = async { sleep_until(due.expect("guarded")).await }, if due.is_some() => Woken::Timeout,
        }
    }

    async fn handle(&mut self, woken: Woken) {
        let now = self.now();
        match woken {
            Woken::Wish(None | Some(Wish::Leave)) => self.session.leave(now),
            Woken::Wish(Some(Wish::Command(payload, answer))) => match self.session.command(now, payload) {
                Ok(id) => {
                    self.answers.insert(id, answer);
                }
                Err(_) => {
                    // As above, the caller may have stopped waiting.
                    let _ = answer.send(Err(CommandError::Full));
                }
            },
            Woken::Wish(Some(Wish::Walk(body))) => {
                self.session.walk(body);
            }
            Woken::Wish(Some(Wish::Watch(entity))) => self.session.watch(entity),
            Woken::Wish(Some(Wish::Unwatch(entity))) => self.session.unwatch(entity),
            Woken::Wish(Some(Wish::WantStats(on))) => self.session.want_stats(on),
            Woken::Wish(Some(Wish::Introduce(name))) => {
                let nonce = self.session.nonce().unwrap_or_else(draw_nonce);
                self.session.introduce(now, name, nonce);
            }
            Woken::Wish(Some(Wish::Recover(code))) => self.session.recover(now, code),
            Woken::Wish(Some(Wish::ShowInvitation(text))) => self.session.show_invitation(now, text),
            Woken::Opened(opened) => {
                self.opening = None;
                match *opened {
                    Ok(socket) => {
                        self.socket = Some(socket);
                        self.session.handle_open(now);
                    }
                    Err(_) => self.session.handle_gone(now),
                }
            }
            Woken::Heard(Some(Ok(tungstenite::Message::Binary(bytes)))) => self.on_message(now, bytes).await,
            Woken::Heard(Some(Ok(tungstenite::Message::Close(_)) | Err(_)) | None) => {
                self.socket = None;
                self.session.handle_gone(now);
            }
            Woken::Heard(Some(Ok(_))) => {}
            Woken::Timeout => self.session.handle_timeout(now),
        }
    }

    async fn on_message(&mut self, now: Time, bytes: Bytes) {
        let Ok(message) = ServerMessage::decode(bytes) else {
            self.socket = None;
            self.session.handle_gone(now);
            return;
        };
        let mut changes = Vec::new();
        {
            let mut picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
            picture.handle_message(&message, &mut changes);
        }
        if !changes.is_empty() {
            self.tell(None, changes).await;
        }
        self.session.handle_message(now, message);
    }

    async fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Connect(address) => {
                    let tls = if address.tls { Some(self.tls()) } else { None };
                    self.opening = Some(tokio::spawn(open(address, tls)));
                }
                Output::Send(message) => self.send(message.encode_to_vec()).await,
                Output::Disconnect => self.disconnect(),
                Output::Event(Event::Answered(answer)) => {
                    if let Some(waiting) = self.answers.remove(&answer.id) {
                        // The caller may have stopped waiting.
                        let _ = waiting.send(answer.result.clone().map_err(CommandError::Refused));
                    }
                    self.tell(Some(Event::Answered(answer)), Vec::new()).await;
                }
                Output::Event(event) => self.tell(Some(event), Vec::new()).await,
            }
        }
    }

    /// What a connection with TLS needs. What cannot be had now is tried again with the next connection.
    fn tls(&mut self) -> Result<Arc<ClientConfig>, FileFault> {
        if let Some(config) = &self.config {
            return Ok(Arc::clone(config));
        }
        Ok(Arc::clone(self.config.insert(client_config(&self.trust)?)))
    }

    async fn send(&mut self, bytes: Vec<u8>) {
        let Some(socket) = &mut self.socket else { return };
        if socket.send(tungstenite::Message::Binary(bytes.into())).await.is_err() {
            self.socket = None;
            let now = self.now();
            self.session.handle_gone(now);
        }
    }

    fn disconnect(&mut self) {
        if let Some(opening) = self.opening.take() {
            opening.abort();
        }
        if let Some(mut socket) = self.socket.take() {
            // The closing handshake is a courtesy to the server and must not delay a reconnect.
            tokio::spawn(async move { socket.close(None).await });
        }
    }

    async fn tell(&self, event: Option<Event>, changes: Vec<PictureEvent>) {
        // A user who dropped the receiver does not want events.
        let _ = self.events.send((event, changes)).await;
    }
}

/// A nonce for a new player, from the operating system's random generator.
///
/// # Panics
/// If the operating system returns no random bytes.
pub fn draw_nonce() -> [u8; 16] {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
    nonce
}

async fn open(
    address: Address,
    tls: Option<Result<Arc<ClientConfig>, FileFault>>,
) -> Result<Socket, tungstenite::Error> {
    let socket = TcpStream::connect((address.host.as_str(), address.port)).await?;
    socket.set_nodelay(true)?;
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(socket),
        Some(config) => {
            let connector = TlsConnector::from(config.map_err(io::Error::other)?);
            Box::new(connector.connect(server_name(&address.host)?, socket).await?)
        }
    };
    Ok(client_async(address.to_string(), stream).await?.0)
}
