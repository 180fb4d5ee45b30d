//! The operators' command `order`: gives an entity an order, and prints the answer, or what to do.

use gundo_node::{AdminError, AdminOrdered, AdminRequest};

use crate::app::{Failure, say};
use crate::cli::OrderArgs;
use crate::nodes::Admin;

/// Executes the command. False: the order is unsettled.
pub(crate) fn run(args: &OrderArgs) -> Result<bool, Failure> {
    let is_word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let words = [Some(&args.kind), Some(&args.id), args.request.as_ref()];
    if let Some(other) = words.into_iter().flatten().find(|word| !is_word(word)) {
        return Err(
            format!("{other:?} is no kind, id or number: `order player 2f give 5 wood thanks`").into()
        );
    }
    let admin = Admin::new(&args.admin)?;
    let request = match &args.request {
        Some(request) => request.clone(),
        None => admin.post::<AdminRequest>("/admin/orders")?.request,
    };
    let path = format!("/admin/order/{request}/{}/{}", args.kind, args.id);
    let sent = admin.send("POST", &path, &args.words.join(" "));
    let (status, body) = match sent {
        Ok(answer) => answer,
        Err(why) => {
            say(&unsettled(args, &request, &format!("nobody has said how it ended ({why})")));
            return Ok(false);
        }
    };
    if (200..300).contains(&status) {
        say(&serde_json::from_str::<AdminOrdered>(&body)?.answer);
        return Ok(true);
    }
    let refused = serde_json::from_str::<AdminError>(&body);
    let why = refused.map_or_else(|_| format!("HTTP {status}"), |e| format!("{} ({})", e.text, e.code));
    if (500..600).contains(&status) {
        say(&unsettled(args, &request, &why));
        return Ok(false);
    }
    Err(format!("it was refused, and nothing has happened: {why}").into())
}

fn unsettled(args: &OrderArgs, request: &str, why: &str) -> String {
    let OrderArgs { kind, id, words, .. } = args;
    format!(
        "it is not settled: {why}\nIt may have happened, or may still happen: once. To find out, repeat it with its number, through any \
         node, within an hour:\n  order --request {request} {kind} {id} {}",
        words.join(" ")
    )
}
