//! The operators' HTTP API: the status of the nodes of a running world, and operations on them.
//!
//! `GET /admin/nodes` lists the nodes, `GET /admin/here` those of this process only; `POST /admin/nodes` adds one, `POST /admin/nodes/N/kill` (or `pause`, `resume`,
//! `drain`, `renew`) acts on one, and `POST /admin/rollout` restarts all. `GET /admin/blamed` lists the entities whose code took nodes down,
//! and `POST /admin/pardon/KIND/ID` (the id hexadecimal) has one loaded again.
//! `POST /admin/invitations/COUNT/DAYS` makes invitations. `POST /admin/order/NUMBER/KIND/ID` gives an
//! entity an order: see `orders`. Every request needs `Authorization: Bearer TOKEN`, or
//! an operator's certificate at an address with TLS, and must
//! come from a program on this machine, or by the address for operators only. A refusal changes nothing; its answer has a status, a stable code and a sentence.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use gundo_edge::{Caller, Certified, Role};
use gundo_kernel::game::BLAME_LIMIT;
use gundo_types::{EntityId, NodeId};
use serde::{Deserialize, Serialize};

use crate::blame::parse_entity;
use crate::control::{Control, NodeState, NodeStatus, Refused, WorldStatus};
use crate::orders;

/// The answer to `GET /admin/nodes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminWorld {
    /// Number of the current view.
    pub epoch: u64,
    /// Every node that runs or has run, in order.
    pub nodes: Vec<AdminNode>,
    /// Nodes that a rollout has yet to restart, starting with the current one.
    pub rollout: Vec<u16>,
}

/// A node in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminNode {
    /// Its number.
    pub node: u16,
    /// Its incarnation; 0: it does not run.
    pub incarnation: u64,
    /// Where clients of the same machine find its edge.
    pub address: String,
    /// `starting`, `up`, `paused`, `draining`, `restarting` or `down`; in a cluster also `silent`: its process does not answer.
    pub state: String,
    /// Whether the current view lists it.
    pub member: bool,
    /// Clients of its edge, as of the last second.
    pub sessions: u64,
    /// Entities real there, as of the last second.
    pub reals: u64,
    /// Entities seen there and real elsewhere, as of the last second.
    pub ghosts: u64,
    /// Chunks it subscribes to, for its clients' sight and around players that are real there, as of the last second.
    #[serde(default)]
    pub chunks: u64,
}

/// An entity in the answer to `GET /admin/blamed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminBlamed {
    /// Its kind and id, as in the log: `2/1f`.
    pub entity: String,
    /// Its points.
    pub points: u8,
    /// Whether it has so many that it is not loaded.
    pub suspended: bool,
}

/// The answer to a refused request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminError {
    /// Stable code.
    pub code: String,
    /// What is wrong and what to do.
    pub text: String,
}

/// The answer to a successful operation: the node.
#[derive(Clone, Copy, Debug, Serialize)]
struct Done {
    node: u16,
}

/// A state that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no state of a node")]
pub struct BadState(String);

impl TryFrom<AdminNode> for NodeStatus {
    type Error = BadState;

    fn try_from(node: AdminNode) -> Result<Self, BadState> {
        let AdminNode { node, incarnation, address, state, member, sessions, reals, ghosts, chunks } = node;
        let state = NodeState::of_word(&state).ok_or(BadState(state))?;
        Ok(Self { node: NodeId(node), incarnation, address, state, member, sessions, reals, ghosts, chunks })
    }
}

impl From<WorldStatus> for AdminWorld {
    fn from(status: WorldStatus) -> Self {
        let node = |n: NodeStatus| AdminNode {
            node: n.node.0,
            incarnation: n.incarnation,
            address: n.address,
            state: n.state.word().to_owned(),
            member: n.member,
            sessions: n.sessions,
            reals: n.reals,
            ghosts: n.ghosts,
            chunks: n.chunks,
        };
        Self {
            epoch: status.epoch,
            nodes: status.nodes.into_iter().map(node).collect(),
            rollout: status.rollout.into_iter().map(|n| n.0).collect(),
        }
    }
}

/// The routes. `token`: `None` refuses everything.
pub(crate) fn routes(control: Control, token: Option<String>) -> Router {
    let token: Option<Arc<str>> = token.filter(|t| !t.is_empty()).map(Into::into);
    Router::new()
        .route("/admin/nodes", get(nodes).post(add))
        .route("/admin/here", get(here))
        .route("/admin/nodes/{node}/{what}", post(act))
        .route("/admin/rollout", post(roll_out))
        .route("/admin/blamed", get(blamed))
        .route("/admin/pardon/{kind}/{id}", post(pardon))
        .route("/admin/invitations/{count}/{days}", post(invite))
        .route("/admin/orders", post(orders::number))
        .route("/admin/order/{request}/{kind}/{id}", post(orders::order))
        .layer(middleware::from_fn_with_state(token, check))
        .with_state(control)
}

async fn check(State(token): State<Option<Arc<str>>>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().copied();
    if !caller.is_some_and(|caller| caller.is_local || caller.is_private) {
        let client = caller.map(|caller| caller.client);
        tracing::debug!(
            ?client,
            "a request to administer nodes was refused: it does not come from this machine"
        );
        let text = "nodes can be administered only by programs on the machine they run on, not through a proxy; \
                    `admin_listen` opens an address for operators elsewhere";
        return refuse(StatusCode::FORBIDDEN, &Refused::new("not_local", text));
    }
    let role = request.extensions().get::<Certified>().and_then(|certified| certified.0.clone());
    if let Some(Role::Operator(name)) = &role {
        tracing::debug!(name, path = request.uri().path(), "an operator's request, by a certificate");
        return next.run(request).await;
    }
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer "));
    match (token, given) {
        (None, _) => {
            let text = "this world was started without an admin token";
            refuse(StatusCode::FORBIDDEN, &Refused::new("no_admin", text))
        }
        (_, None) => {
            let text = "an admin token is needed: the file admin.token in the world's data directory has it";
            let of = |role| format!("the certificate is that of {role}, which is no operator; {text}");
            let text = role.map_or_else(|| text.to_owned(), of);
            refuse(StatusCode::UNAUTHORIZED, &Refused::new("no_token", text))
        }
        (Some(token), Some(given)) if is_same(token.as_bytes(), given.as_bytes()) => next.run(request).await,
        _ => {
            let text = "this admin token is not the one in the world's data directory";
            refuse(StatusCode::UNAUTHORIZED, &Refused::new("bad_token", text))
        }
    }
}

/// Compares in a time that does not reveal how many bytes match.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

async fn nodes(State(control): State<Control>) -> Response {
    answer(ask(control, |c| c.nodes()).await, |status| Json(AdminWorld::from(status)).into_response())
}

async fn here(State(control): State<Control>) -> Response {
    answer(ask(control, |c| c.here()).await, |status| Json(AdminWorld::from(status)).into_response())
}

async fn add(State(control): State<Control>) -> Response {
    answer(ask(control, |c| c.add()).await, done)
}

async fn act(State(control): State<Control>, Path((node, what)): Path<(String, String)>) -> Response {
    let Ok(number) = node.parse::<u16>() else {
        let text = format!("a node is a number from 1, not {node:?}");
        return refuse(StatusCode::NOT_FOUND, &Refused::new("unknown_node", text));
    };
    let node = NodeId(number);
    let asked = match what.as_str() {
        "kill" => ask(control, move |c| c.kill(node)).await,
        "pause" => ask(control, move |c| c.pause(node)).await,
        "resume" => ask(control, move |c| c.resume(node)).await,
        "drain" => ask(control, move |c| c.drain(node)).await,
        "renew" => ask(control, move |c| c.renew(node)).await,
        _ => {
            let text = format!(
                "a node can be killed, paused, resumed, drained and renewed; {what:?} is none of these"
            );
            return refuse(StatusCode::NOT_FOUND, &Refused::new("unknown_action", text));
        }
    };
    answer(asked, |()| done(node))
}

async fn roll_out(State(control): State<Control>) -> Response {
    answer(ask(control, |c| c.rollout()).await, |()| Json(serde_json::json!({})).into_response())
}

async fn blamed(State(control): State<Control>) -> Response {
    let entry = |(entity, points): (EntityId, u8)| {
        let suspended = points >= BLAME_LIMIT;
        AdminBlamed { entity: entity.to_string(), points, suspended }
    };
    answer(ask(control, |c| c.blamed()).await, |blamed| {
        Json(blamed.into_iter().map(entry).collect::<Vec<_>>()).into_response()
    })
}

async fn pardon(State(control): State<Control>, Path((kind, id)): Path<(String, String)>) -> Response {
    let Some(entity) = parse_entity(&format!("{kind}/{id}")) else {
        let text = format!("an entity is its kind and its id in hexadecimal, such as 2/1f, not {kind}/{id}");
        return refuse(StatusCode::NOT_FOUND, &Refused::new("bad_entity", text));
    };
    answer(ask(control, move |c| c.pardon(entity)).await, |()| Json(serde_json::json!({})).into_response())
}

async fn invite(State(control): State<Control>, Path((count, days)): Path<(String, String)>) -> Response {
    let (Ok(count), Ok(days)) = (count.parse::<u16>(), days.parse::<u16>()) else {
        let text = format!("how many and for how many days are two numbers, not {count}/{days}");
        return refuse(StatusCode::NOT_FOUND, &Refused::new("bad_count", text));
    };
    answer(ask(control, move |c| c.invite(count, days)).await, |all| Json(all).into_response())
}

/// The supervisor may be waiting for the disk, so an I/O thread must not wait for it.
pub(crate) async fn ask<T: Send + 'static>(
    control: Control,
    what: impl FnOnce(Control) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let asked = tokio::task::spawn_blocking(move || what(control)).await;
    asked.unwrap_or_else(|_| Err(Refused::new("stopped", "this world has ended")))
}

pub(crate) fn answer<T>(asked: Result<T, Refused>, well: impl FnOnce(T) -> Response) -> Response {
    match asked {
        Ok(value) => well(value),
        Err(refused) => {
            let status = match &*refused.code {
                "unknown_node" | "unknown_kind" | "bad_entity" => StatusCode::NOT_FOUND,
                "stopped" | "storage" | "not_ready" | "under_way" => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::CONFLICT,
            };
            refuse(status, &refused)
        }
    }
}

fn done(node: NodeId) -> Response {
    Json(Done { node: node.0 }).into_response()
}

pub(crate) fn refuse(status: StatusCode, refused: &Refused) -> Response {
    let error = AdminError { code: refused.code.clone().into_owned(), text: refused.text.clone() };
    (status, Json(error)).into_response()
}
