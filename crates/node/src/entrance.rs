//! The front of a process' nodes as its settings want it.
//!
//! [`Entrance::bind`] takes the addresses before any node runs, so that one which is in use ends the start; [`Entrance::open`]
//! lets people in.

use std::sync::Arc;

use gundo_edge::{Bound, EdgeFault, Front, FrontSettings, Listen, Page, ServerTls};
use tokio::runtime::Runtime;

use crate::admin;
use crate::advertise::Advertise;
use crate::control::Control;
use crate::indicators::Recorders;
use crate::settings::SoloSettings;

/// The addresses of a front that listens but does not answer yet.
pub(crate) struct Entrance {
    open: Bound,
    /// For operators only.
    private: Option<Bound>,
    tls: Option<Arc<ServerTls>>,
}

impl Entrance {
    pub(crate) fn bind(settings: &SoloSettings, runtime: &Runtime) -> Result<Self, EdgeFault> {
        let _inside = runtime.enter();
        let tls = settings.tls.clone().map(ServerTls::load).transpose()?.map(Arc::new);
        if tls.is_some() && settings.advertise.is_bare() {
            tracing::warn!(
                advertise = %settings.advertise,
                "clients that come by TLS will not go to an address without it: advertise wss://"
            );
        }
        let private = settings.admin_listen.map(Front::bind).transpose()?;
        Ok(Self { open: Front::bind_at(&settings.place())?, private, tls })
    }

    /// Where people come in.
    pub(crate) fn place(&self) -> &Listen {
        self.open.place()
    }

    /// Lets people in to `page`, and operators to `control`.
    pub(crate) fn open(
        self,
        settings: &SoloSettings,
        runtime: &Runtime,
        page: Arc<Page>,
        recorders: Recorders,
        control: Control,
    ) -> Front {
        let _inside = runtime.enter();
        let front =
            FrontSettings { access: settings.access.clone(), tls: self.tls, ..FrontSettings::new(page) };
        let metrics = Box::new(move || recorders.render());
        Front::start(
            self.open,
            self.private,
            front,
            metrics,
            admin::routes(control, settings.admin_token.clone()),
        )
    }
}

/// Whether only people at this machine can come, as far as the settings tell.
pub(crate) fn is_development(settings: &SoloSettings) -> bool {
    let knows_proxies = !settings.access.trusted_proxies.is_empty() || !settings.access.hosts.is_empty();
    settings.socket.is_none()
        && settings.listen.ip().is_loopback()
        && !knows_proxies
        && settings.advertise == Advertise::default()
}
