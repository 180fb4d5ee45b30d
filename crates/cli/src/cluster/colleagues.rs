//! Operators' requests that concern nodes in other processes: passed on by HTTP, with the token that all processes of the world share.

use std::time::Duration;

use gundo_kernel::Member;
use gundo_node::{AdminError, AdminWorld, Colleagues, Deed, NodeStatus, Refused};
use ureq::http::Response;
use ureq::{Agent, Body};

/// How long another process may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The other processes' APIs for operators.
pub(crate) struct HttpColleagues {
    agent: Agent,
    bearer: String,
}

impl HttpColleagues {
    pub(crate) fn new(token: &str) -> Self {
        // A refusal has a body that says why. What is between nodes is reached directly.
        let config = Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = config.timeout_global(Some(PATIENCE)).build().new_agent();
        Self { agent, bearer: format!("Bearer {token}") }
    }

    fn url(member: &Member, path: &str) -> Result<String, Refused> {
        let (node, at) = (member.node.0, &member.site.admin);
        if at.is_empty() {
            let text = format!(
                "node {node} runs in another process, which takes no requests from others: give it `admin_listen`, or ask it directly"
            );
            return Err(Refused::new("elsewhere", text));
        }
        Ok(format!("http://{at}{path}"))
    }

    fn take(member: &Member, asked: Result<Response<Body>, ureq::Error>) -> Result<String, Refused> {
        let away = |why: String| {
            let text = format!("node {} does not answer at {}: {why}", member.node.0, member.site.admin);
            Refused::new("elsewhere", text)
        };
        let mut response = asked.map_err(|error| away(error.to_string()))?;
        let body = response.body_mut().read_to_string().map_err(|error| away(error.to_string()))?;
        if response.status().is_success() {
            return Ok(body);
        }
        match serde_json::from_str::<AdminError>(&body) {
            Ok(AdminError { code, text }) => Err(Refused::new(code, text)),
            Err(_) => Err(away(format!("HTTP {}", response.status()))),
        }
    }
}

impl Colleagues for HttpColleagues {
    fn status(&self, member: &Member) -> Result<NodeStatus, Refused> {
        let url = Self::url(member, "/admin/here")?;
        let asked = self.agent.get(&url).header("authorization", &self.bearer).call();
        let world: Option<AdminWorld> = serde_json::from_str(&Self::take(member, asked)?).ok();
        let node = world.and_then(|world| world.nodes.into_iter().find(|n| n.node == member.node.0));
        node.and_then(|node| NodeStatus::try_from(node).ok()).ok_or_else(|| {
            let text = format!("what answers at {} is not node {}", member.site.admin, member.node.0);
            Refused::new("elsewhere", text)
        })
    }

    fn act(&self, member: &Member, deed: Deed) -> Result<(), Refused> {
        let what = match deed {
            Deed::Kill => "kill",
            Deed::Pause => "pause",
            Deed::Resume => "resume",
            Deed::Drain => "drain",
            Deed::Renew => "renew",
        };
        let url = Self::url(member, &format!("/admin/nodes/{}/{what}", member.node.0))?;
        let asked = self.agent.post(&url).header("authorization", &self.bearer).send_empty();
        Self::take(member, asked).map(drop)
    }
}
