//! The simulator with a small game of its own: runs, the command, the guide.

mod audit;
mod board;
mod command;
mod guide;
mod hot;
mod mails;
mod orders;
mod post;
mod purses;
mod runs;
mod savings;
mod small;
mod timers;
