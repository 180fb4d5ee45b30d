//! The loop: each worker thread polls the sockets of its bots and gives each bot its turn; the caller's thread takes the
//! run from phase to phase and watches.
//!
//! Turns are spread evenly over the time between two steps, like those of thousands of real players. A bot has no timer of
//! its own: it handles its session's timers at its turn.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gundo_client::Address;
use gundo_tls::client_config;
use gundo_tls::rustls::ClientConfig;
use gundo_types::{EntityId, Time};
use mio::{Events, Poll, Token};

use crate::behaviour::Behaviour;
use crate::bot::{Bot, Desk};
use crate::progress::{Phase, Progress};
use crate::report::Report;
use crate::tally::Tally;
use crate::window::BotWindow;
use crate::{BotsConfig, BotsError};

/// Wait after the last answer, seconds.
const AFTER_SECONDS: f64 = 0.5;
/// Turns between two steps of one bot: at 10 steps per second, consecutive turns are 5 ms apart.
const SLOTS: u64 = 20;
/// Sessions that are due later than this are handled at their bots' turns, ms.
const SOON_MS: u64 = 200;
/// Buffer shared by all sockets of a worker: large enough for a frame of a thousand entities in one piece.
const SCRATCH_BYTES: usize = 128 * 1024;

/// If no bot is in the world after so long, s, none will be: no server is there, or it lets nobody in.
const FIRST_SECONDS: f64 = 10.0;

/// State that workers and the caller share.
struct Shared {
    phase: AtomicU8,
    live: AtomicUsize,
    /// Bots that have entered the world or given up.
    settled: AtomicUsize,
    open: AtomicUsize,
    answered: AtomicU64,
    updates: AtomicU64,
    bytes: AtomicU64,
    reconnects: AtomicU64,
    edges: Mutex<Vec<Address>>,
    /// The caller's orders to every worker. Each worker has executed a prefix of them.
    orders: Mutex<Vec<Order>>,
    ordered: AtomicUsize,
    windows: Mutex<Sender<Vec<BotWindow>>>,
    tls: Option<Arc<ClientConfig>>,
}

/// An order to every worker.
#[derive(Clone)]
enum Order {
    /// End every bot's window, and start the next.
    Mark,
    /// Bot `i` goes to edge `i` modulo their number; if there is a set `bots`, only those.
    Spread { bots: Option<BTreeSet<usize>>, edges: Vec<Address>, through_the_door: bool },
}

impl Shared {
    fn new(windows: Sender<Vec<BotWindow>>, tls: Option<Arc<ClientConfig>>) -> Self {
        Self {
            phase: AtomicU8::default(),
            live: AtomicUsize::default(),
            settled: AtomicUsize::default(),
            open: AtomicUsize::default(),
            answered: AtomicU64::default(),
            updates: AtomicU64::default(),
            bytes: AtomicU64::default(),
            reconnects: AtomicU64::default(),
            edges: Mutex::default(),
            orders: Mutex::default(),
            ordered: AtomicUsize::default(),
            windows: Mutex::new(windows),
            tls,
        }
    }

    fn phase(&self) -> u8 {
        self.phase.load(Ordering::Acquire)
    }

    fn order(&self, order: Order) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.push(order);
        self.ordered.store(orders.len(), Ordering::Release);
    }
}

/// A running fleet, as the caller sees it during the run.
pub struct Fleet<'a> {
    shared: &'a Shared,
    windows: Receiver<Vec<BotWindow>>,
    threads: usize,
}

impl Fleet<'_> {
    /// Bots that are in the world and connected, about 10 ms ago.
    pub fn live(&self) -> usize {
        self.shared.live.load(Ordering::Relaxed)
    }

    /// Unanswered commands, about 10 ms ago.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Ends every bot's window and starts the next. Returns the windows since the last mark, in order of the bots' numbers.
    /// It takes some milliseconds; everything after it returns belongs to the new window.
    pub fn mark(&self) -> Vec<BotWindow> {
        self.shared.order(Order::Mark);
        let mut windows: Vec<_> =
            (0..self.threads).filter_map(|_| self.windows.recv().ok()).flatten().collect();
        windows.sort_by_key(|window| window.bot);
        windows
    }

    /// Sends bot `i` to edge `i` modulo their number; if there is a set `bots`, only those. `through_the_door`: the bot
    /// leaves the world and comes back in there, so that a node loads its player again. Otherwise it only changes its edge,
    /// unless it is there already. Returns at once: see [`live`](Self::live).
    pub fn spread(&self, bots: Option<BTreeSet<usize>>, edges: &[Address], through_the_door: bool) {
        self.shared.order(Order::Spread { bots, edges: edges.to_vec(), through_the_door });
    }
}

/// The result of a fleet's play.
pub struct Played<T> {
    /// The report. Its window is everything between the last Welcome and the end.
    pub report: Report,
    /// The result of the caller's function.
    pub value: T,
    /// Every bot's player, if it was ever in the world, and its mind.
    pub minds: Vec<(Option<EntityId>, Box<dyn Behaviour>)>,
}

pub(crate) fn run(
    config: &BotsConfig,
    behaviour: &(dyn Fn(usize) -> Box<dyn Behaviour> + Sync),
    watch: &mut dyn FnMut(&Progress),
) -> Result<Report, BotsError> {
    let conduct = |conductor: &mut Conductor<'_>, _: Fleet<'_>| conductor.conduct();
    with_workers(config, behaviour, watch, conduct).map(|played| played.report)
}

pub(crate) fn play<T>(
    config: &BotsConfig,
    behaviour: &(dyn Fn(usize) -> Box<dyn Behaviour> + Sync),
    conduct: impl FnOnce(&Fleet<'_>) -> T,
) -> Result<Played<T>, BotsError> {
    let mut quiet = |_: &Progress| {};
    with_workers(config, behaviour, &mut quiet, |conductor, fleet| conductor.play(|| conduct(&fleet)))
}

/// What connections with TLS need. A world may name edges with TLS to who came without.
fn tls(config: &BotsConfig) -> Result<Option<Arc<ClientConfig>>, BotsError> {
    match client_config(&config.trust) {
        Ok(tls) => Ok(Some(tls)),
        Err(fault) if config.urls.iter().any(|url| url.tls) => Err(fault.into()),
        Err(_) => Ok(None),
    }
}

fn with_workers<T>(
    config: &BotsConfig,
    behaviour: &(dyn Fn(usize) -> Box<dyn Behaviour> + Sync),
    watch: &mut dyn FnMut(&Progress),
    conduct: impl FnOnce(&mut Conductor<'_>, Fleet<'_>) -> (Times, T),
) -> Result<Played<T>, BotsError> {
    let (tx, windows) = channel();
    let shared = Shared::new(tx, tls(config)?);
    let begun = Instant::now();
    let threads = config.threads.clamp(1, 64);
    let polls: Vec<Poll> =
        (0..threads).map(|_| Poll::new()).collect::<Result<_, _>>().map_err(BotsError::Poll)?;
    std::thread::scope(|scope| {
        let workers: Vec<_> = polls
            .into_iter()
            .enumerate()
            .map(|(number, poll)| {
                let shared = &shared;
                scope.spawn(move || Worker::new(config, shared, begun, number, threads, poll).run(behaviour))
            })
            .collect();
        let fleet = Fleet { shared: &shared, windows, threads };
        let mut conductor = Conductor { config, shared: &shared, begun, watch, is_empty: false };
        let (times, value) = conduct(&mut conductor, fleet);
        let mut tally = Tally::new();
        let mut live = 0;
        let mut minds: Vec<_> = Vec::new();
        for (number, worker) in workers.into_iter().enumerate() {
            let (theirs, bots) = worker.join().expect("a bot worker does not panic");
            tally.merge(&theirs);
            live += bots.iter().filter(|b| b.has_played()).count();
            let numbers = (number..).step_by(threads);
            minds.extend(numbers.zip(bots.into_iter().map(Bot::into_mind)));
        }
        minds.sort_by_key(|(number, _)| *number);
        let minds = minds.into_iter().map(|(_, mind)| mind).collect();
        let report = Report::new(config, &tally, live, times.connecting, times.window);
        Ok(Played { report, value, minds })
    })
}

struct Times {
    connecting: Duration,
    window: Duration,
}

/// Takes the run from phase to phase.
struct Conductor<'a> {
    config: &'a BotsConfig,
    shared: &'a Shared,
    begun: Instant,
    watch: &'a mut dyn FnMut(&Progress),
    /// No bot got into the world: nothing is worth waiting for.
    is_empty: bool,
}

impl Conductor<'_> {
    fn conduct(&mut self) -> (Times, ()) {
        let seconds = self.config.seconds;
        self.steps(|conductor| conductor.wait(if conductor.is_empty { 0.0 } else { seconds }, |_| false))
    }

    fn play<T>(&mut self, play: impl FnOnce() -> T) -> (Times, T) {
        self.steps(|_| play())
    }

    /// Runs from the first connection to the last answer; `measured` is the window.
    fn steps<T>(&mut self, measured: impl FnOnce(&mut Self) -> T) -> (Times, T) {
        let BotsConfig { count, connect_seconds, settle_seconds, drain_seconds, .. } = *self.config;
        self.phase(Phase::Connecting);
        let is_settled = |s: &Shared| s.settled.load(Ordering::Relaxed) >= count;
        let is_empty = |s: &Shared| s.live.load(Ordering::Relaxed) == 0;
        let first_seconds = connect_seconds.min(FIRST_SECONDS);
        self.wait(first_seconds, |s| is_settled(s) || !is_empty(s));
        self.is_empty = is_empty(self.shared);
        if !self.is_empty {
            self.wait(connect_seconds - first_seconds, is_settled);
        }
        let connecting = self.begun.elapsed();
        self.phase(Phase::Settling);
        self.wait(if self.is_empty { 0.0 } else { settle_seconds }, |_| false);
        self.phase(Phase::Measuring);
        let opened = Instant::now();
        let value = measured(self);
        self.phase(Phase::Draining);
        let window = opened.elapsed();
        // Workers report open commands once per step, so the first reports after the change are stale for that long.
        let step = 2.0 / f64::from(self.config.steps_per_second.max(1));
        self.wait(step, |_| false);
        self.wait(drain_seconds, |s| s.open.load(Ordering::Relaxed) == 0);
        // What the last commands did to other bots is shown to those a moment after the answers.
        self.wait(AFTER_SECONDS, |_| false);
        self.phase(Phase::Leaving);
        (Times { connecting, window }, value)
    }

    fn phase(&mut self, phase: Phase) {
        self.shared.phase.store(phase as u8, Ordering::Release);
        self.tell(phase, true);
    }

    fn wait(&mut self, seconds: f64, done: impl Fn(&Shared) -> bool) {
        let end = Instant::now() + Duration::from_secs_f64(seconds.max(0.0));
        let mut next_word = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end && !done(self.shared) {
            let rest = end.saturating_duration_since(Instant::now());
            // The fleet runs on its own threads; this one only looks at the clock.
            std::thread::sleep(rest.min(Duration::from_millis(5)));
            if Instant::now() >= next_word {
                next_word += Duration::from_secs(1);
                let phase = match self.shared.phase() {
                    0 => Phase::Connecting,
                    1 => Phase::Settling,
                    2 => Phase::Measuring,
                    3 => Phase::Draining,
                    _ => Phase::Leaving,
                };
                self.tell(phase, false);
            }
        }
    }

    fn tell(&mut self, phase: Phase, begun: bool) {
        let s = self.shared;
        (self.watch)(&Progress {
            phase,
            begun,
            elapsed: self.begun.elapsed(),
            live: s.live.load(Ordering::Relaxed),
            answered: s.answered.load(Ordering::Relaxed),
            updates: s.updates.load(Ordering::Relaxed),
            bytes: s.bytes.load(Ordering::Relaxed),
            reconnects: s.reconnects.load(Ordering::Relaxed),
        });
    }
}

/// One thread's bots: those whose number is `number` modulo `threads`.
struct Worker<'a> {
    config: &'a BotsConfig,
    shared: &'a Shared,
    begun: Instant,
    number: usize,
    threads: usize,
    poll: Poll,
    bots: Vec<Bot>,
    tally: Tally,
    resolved: HashMap<Address, Option<SocketAddr>>,
    scratch: Vec<u8>,
    /// Bots that are entering the world, by when their sessions are due. A late one may be in it twice.
    due: BinaryHeap<Reverse<(Time, usize)>>,
    /// Orders executed.
    done: usize,
    plays: bool,
    told: Told,
}

/// The numbers this worker last added to the shared ones.
#[derive(Clone, Copy, Default)]
struct Told {
    live: usize,
    settled: usize,
    open: usize,
    answered: u64,
    updates: u64,
    bytes: u64,
    reconnects: u64,
}

impl<'a> Worker<'a> {
    fn new(
        config: &'a BotsConfig,
        shared: &'a Shared,
        begun: Instant,
        number: usize,
        threads: usize,
        poll: Poll,
    ) -> Self {
        Self {
            config,
            shared,
            begun,
            number,
            threads,
            poll,
            bots: Vec::new(),
            tally: Tally::new(),
            resolved: HashMap::new(),
            scratch: vec![0; SCRATCH_BYTES],
            due: BinaryHeap::new(),
            done: 0,
            plays: true,
            told: Told::default(),
        }
    }

    fn run(mut self, behaviour: &(dyn Fn(usize) -> Box<dyn Behaviour> + Sync)) -> (Tally, Vec<Bot>) {
        let mut events = Events::with_capacity(1_024);
        let step_us = 1_000_000 / u64::from(self.config.steps_per_second.max(1));
        let mut slot = 0u64;
        loop {
            let phase = self.shared.phase();
            if phase >= Phase::Leaving as u8 {
                break;
            }
            self.tally.measuring = phase == Phase::Measuring as u8;
            self.plays = phase < Phase::Draining as u8;
            if phase == Phase::Connecting as u8 {
                self.start_more(behaviour);
            }
            let due = Time(slot * step_us / SLOTS);
            let due = self.due.peek().map_or(due, |Reverse((first, _))| due.min(*first));
            let wait = Duration::from_micros(due.since(self.now()));
            match self.poll.poll(&mut events, Some(wait)) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.tally.error(&format!("poll_{e}"));
                    break;
                }
            }
            self.handle_events(&events);
            self.wake();
            self.follow_orders();
            // A worker that falls behind skips turns instead of catching up all at once.
            let now_slot = self.now().0 * SLOTS / step_us;
            while slot <= now_slot {
                if now_slot - slot < SLOTS {
                    self.turn(slot % SLOTS);
                }
                slot += 1;
            }
        }
        self.finish()
    }

    fn now(&self) -> Time {
        Time(self.begun.elapsed().as_micros() as u64)
    }

    /// How many bots this worker will have in the end.
    fn count(&self) -> usize {
        (self.config.count + self.threads - 1 - self.number) / self.threads
    }

    fn start_more(&mut self, behaviour: &(dyn Fn(usize) -> Box<dyn Behaviour> + Sync)) {
        let known = self.shared.edges.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Until the first bot has learned the list of edges, no other bot starts.
        let learning = self.config.spread && known.is_empty();
        if learning && self.number > 0 {
            return;
        }
        let most = if learning { 1 } else { usize::MAX };
        let edges = if known.is_empty() { self.config.urls.clone() } else { known };
        let ramp = self.config.connects_per_second.map_or(usize::MAX, |per_second| {
            (self.begun.elapsed().as_secs_f64() * per_second / self.threads as f64) as usize + 1
        });
        let share = (self.config.connecting_max / self.threads).max(1);
        let settled = self.bots.iter().filter(|b| b.has_played() || b.is_ended()).count();
        while self.bots.len() < self.count().min(ramp).min(settled + share).min(most) {
            let index = self.bots.len() * self.threads + self.number;
            let mut edges = edges.clone();
            let n = edges.len();
            edges.rotate_left(index % n);
            let word = self.config.seed % 1_679_616; // 36^4
            let name = format!("{}{}{index}", self.config.name_prefix, base36(word));
            let seed = self.config.seed ^ (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut bot = Bot::new(Token(self.bots.len()), edges, name, seed, behaviour(index));
            if self.config.watch_others {
                bot.watch_others();
            }
            self.bots.push(bot);
            let at = self.bots.len() - 1;
            self.with_bot(at, |bot, desk| bot.start(desk));
        }
    }

    fn handle_events(&mut self, events: &Events) {
        for event in events {
            let (readable, writable) = (event.is_readable() || event.is_error(), event.is_writable());
            let ended = event.is_read_closed() || event.is_error();
            self.with_bot(event.token().0, |bot, desk| {
                bot.handle_ready(desk, readable || ended, writable, ended);
            });
        }
    }

    /// Handles sessions of bots that are entering the world: a wait of a few milliseconds must not take a whole step.
    fn wake(&mut self) {
        let now = self.now();
        while let Some(Reverse((_, at))) = self.due.peek().copied().filter(|Reverse((due, _))| *due <= now) {
            self.due.pop();
            self.with_bot(at, |bot, desk| bot.wake(desk));
        }
    }

    fn follow_orders(&mut self) {
        while self.done < self.shared.ordered.load(Ordering::Acquire) {
            let order = self.shared.orders.lock().unwrap_or_else(PoisonError::into_inner)[self.done].clone();
            self.done += 1;
            match order {
                Order::Mark => {
                    let (now, threads, number) = (self.now(), self.threads, self.number);
                    let bots = self.bots.iter_mut().enumerate();
                    let windows = bots.map(|(at, bot)| bot.mark(now, at * threads + number)).collect();
                    let tx = self.shared.windows.lock().unwrap_or_else(PoisonError::into_inner);
                    // The caller may have given up.
                    let _ = tx.send(windows);
                }
                Order::Spread { bots, edges, through_the_door } => {
                    for at in 0..self.bots.len() {
                        let number = at * self.threads + self.number;
                        if bots.as_ref().is_some_and(|bots| !bots.contains(&number)) {
                            continue;
                        }
                        let edge = &edges[number % edges.len()];
                        self.with_bot(at, |bot, desk| bot.go_to(desk, edge, through_the_door));
                    }
                }
            }
        }
    }

    fn turn(&mut self, slot: u64) {
        for at in (slot as usize..self.bots.len()).step_by(SLOTS as usize) {
            self.with_bot(at, |bot, desk| bot.step(desk));
        }
        self.tell();
    }

    fn with_bot<T>(&mut self, at: usize, then: impl FnOnce(&mut Bot, &mut Desk<'_>) -> T) -> T {
        let now = self.now();
        let resolved = &mut self.resolved;
        let mut resolve = |address: &Address| {
            *resolved.entry(address.clone()).or_insert_with(|| {
                address.authority().to_socket_addrs().ok().and_then(|mut found| found.next())
            })
        };
        let mut desk = Desk {
            now,
            registry: self.poll.registry(),
            resolve: &mut resolve,
            tls: self.shared.tls.as_ref(),
            tally: &mut self.tally,
            scratch: &mut self.scratch,
            plays: self.plays,
        };
        let done = then(&mut self.bots[at], &mut desk);
        if let Some(due) = self.bots[at].due().filter(|due| *due < now.plus_ms(SOON_MS)) {
            self.due.push(Reverse((due, at)));
        }
        done
    }

    /// Adds the changes to the shared numbers.
    fn tell(&mut self) {
        let mut now = Told {
            answered: self.tally.answered,
            updates: self.tally.updates,
            bytes: self.tally.bytes,
            reconnects: self.tally.reconnects,
            ..Told::default()
        };
        for bot in &self.bots {
            now.live += usize::from(bot.is_live());
            now.settled += usize::from(bot.has_played() || bot.is_ended());
            now.open += bot.commands_open();
        }
        let (before, s) = (self.told, self.shared);
        let add = |to: &AtomicU64, now: u64, before: u64| to.fetch_add(now - before, Ordering::Relaxed);
        // These may shrink: adding the difference modulo 2^64 gives the right sum.
        let shift = |to: &AtomicUsize, now: usize, before: usize| {
            to.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
        };
        shift(&s.live, now.live, before.live);
        shift(&s.settled, now.settled, before.settled);
        shift(&s.open, now.open, before.open);
        add(&s.answered, now.answered, before.answered);
        add(&s.updates, now.updates, before.updates);
        add(&s.bytes, now.bytes, before.bytes);
        add(&s.reconnects, now.reconnects, before.reconnects);
        self.told = now;
        if self.config.spread
            && self.number == 0
            && let Some(bot) = self.bots.first().filter(|b| b.has_played())
        {
            let mut known = self.shared.edges.lock().unwrap_or_else(PoisonError::into_inner);
            if known.is_empty() {
                *known = bot.edges().to_vec();
            }
        }
    }

    fn finish(mut self) -> (Tally, Vec<Bot>) {
        self.tally.measuring = false;
        for at in 0..self.bots.len() {
            self.with_bot(at, |bot, desk| bot.finish(desk));
        }
        (self.tally, self.bots)
    }
}

fn base36(mut n: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut out = Vec::new();
    for _ in 0..4 {
        out.push(DIGITS[(n % 36) as usize]);
        n /= 36;
    }
    out.reverse();
    // The run's word must not run into the bot's number.
    out.push(b'n');
    String::from_utf8(out).expect("digits are ASCII")
}
