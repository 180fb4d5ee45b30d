//! The fabric as the node's driver sees it.

use std::sync::{Arc, Mutex, PoisonError};

use gundo_fabric::{Fabric, Sink};
use gundo_fabric_grpc::{DialFault, GrpcFabric, PeerAddress, Whose};
use gundo_kernel::{Member, View};
use gundo_node::Links;
use gundo_types::{Epoch, Figure};

/// The links of this process over gRPC.
pub(crate) struct GrpcLinks {
    fabric: GrpcFabric,
    /// The newest view that the fabric was given: it wants them in order.
    newest: Mutex<Option<Epoch>>,
}

impl GrpcLinks {
    pub(crate) fn new(fabric: GrpcFabric) -> Self {
        Self { fabric, newest: Mutex::default() }
    }
}

impl Links for GrpcLinks {
    fn join(&self, incarnation: u64, sink: Arc<dyn Sink>) -> Box<dyn Fabric> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        // The new incarnation knows no peers yet.
        *newest = None;
        Box::new(self.fabric.join(incarnation, sink))
    }

    fn set_view(&self, view: &View) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.is_some_and(|epoch| epoch >= view.epoch) {
            return;
        }
        *newest = Some(view.epoch);
        let address = |m: &Member| PeerAddress {
            node: m.node,
            incarnation: m.incarnation,
            address: m.site.fabric.clone(),
        };
        self.fabric.set_peers(&view.members.iter().map(address).collect::<Vec<_>>());
    }

    fn figures(&self) -> Vec<Figure> {
        self.fabric.figures()
    }

    fn ask(&self, member: &Member) -> Option<Result<(), String>> {
        match self.fabric.ask(member.node, &member.site.fabric) {
            Ok(()) => Some(Ok(())),
            // It starts or stops itself.
            Err(DialFault::Refused(refused)) if refused.code == "not_joined" => None,
            Err(DialFault::Refused(refused)) => Some(Err(refused.to_string())),
            // No member would ever hear from this node.
            Err(DialFault::Untrusted { whose: Whose::Own, why }) => {
                Some(Err(format!("{why} (`certs` makes certificates)")))
            }
            Err(DialFault::Unreachable(why) | DialFault::Untrusted { why, .. }) => {
                let (peer, address) = (member.node.0, &member.site.fabric);
                tracing::warn!(peer, address, why, "a member cannot be asked whether it takes this node");
                None
            }
        }
    }
}
