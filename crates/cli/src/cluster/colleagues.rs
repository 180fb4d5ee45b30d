//! Operators' requests that concern nodes in other processes: passed on by HTTP, with the token that all processes of the world share.

use std::time::Duration;

use gundo_kernel::Member;
use gundo_node::{AdminError, AdminWorld, Colleagues, Deed, NodeStatus, OperatorFiles, Refused};
use gundo_tls::{FileFault, OperatorClient};
use ureq::Agent;

use crate::https;

/// How long another process may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The other processes' APIs for operators.
pub(crate) struct HttpColleagues {
    agent: Agent,
    /// Where their addresses have TLS.
    tls: Option<OperatorClient>,
    token: String,
}

impl HttpColleagues {
    /// `tls`: the files with which this node speaks to the others' addresses for operators, if these have TLS.
    pub(crate) fn new(token: &str, tls: Option<OperatorFiles>) -> Result<Self, FileFault> {
        // A refusal has a body that says why. What is between nodes is reached directly.
        let config = Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = config.timeout_global(Some(PATIENCE)).build().new_agent();
        let tls = tls.map(OperatorClient::load).transpose()?;
        Ok(Self { agent, tls, token: token.to_owned() })
    }

    /// The answer of another process to a request; a refusal says why.
    fn ask(&self, member: &Member, method: &'static str, path: &str) -> Result<String, Refused> {
        let (node, at) = (member.node.0, &*member.site.admin);
        if at.is_empty() {
            let text = format!(
                "node {node} runs in another process, which takes no requests from others: give it `admin_listen`, or ask it directly"
            );
            return Err(Refused::new("elsewhere", text));
        }
        let away =
            |why: String| Refused::new("elsewhere", format!("node {node} does not answer at {at}: {why}"));
        let (status, body) = match &self.tls {
            Some(tls) => {
                let token = Some(&*self.token);
                let request =
                    https::Request { authority: at, method, path, token, body: "", patience: PATIENCE };
                https::ask(&tls.config(), &request).map_err(|silence| away(silence.to_string()))?
            }
            None => https::ask_plain(&self.agent, method, &format!("http://{at}{path}"), &self.token, "")
                .map_err(|error| away(error.to_string()))?,
        };
        if (200..300).contains(&status) {
            return Ok(body);
        }
        match serde_json::from_str::<AdminError>(&body) {
            Ok(AdminError { code, text }) => Err(Refused::new(code, text)),
            Err(_) => Err(away(format!("HTTP {status}"))),
        }
    }
}

impl Colleagues for HttpColleagues {
    fn status(&self, member: &Member) -> Result<NodeStatus, Refused> {
        let world: Option<AdminWorld> = serde_json::from_str(&self.ask(member, "GET", "/admin/here")?).ok();
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
        self.ask(member, "POST", &format!("/admin/nodes/{}/{what}", member.node.0)).map(drop)
    }
}
