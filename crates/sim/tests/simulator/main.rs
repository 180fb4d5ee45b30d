//! The simulator with a small game of its own: runs, the command, the guide.

mod audit;
mod command;
mod guide;
mod mails;
mod orders;
mod post;
mod purses;
mod runs;
mod savings;
mod small;
mod timers;
