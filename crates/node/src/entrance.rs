//! The front of a process' nodes as its settings want it.
//!
//! [`Entrance::bind`] takes the addresses before any node runs, so that one which is in use ends the start; [`Entrance::open`]
//! lets people in.

use std::sync::Arc;

use gundo_edge::{Bound, EdgeFault, Files, Front, FrontSettings, Listen, OperatorTls, Page, ServerTls};
use tokio::runtime::Runtime;

use crate::admin;
use crate::advertise::Advertise;
use crate::control::Control;
use crate::indicators::Recorders;
use crate::settings::SoloSettings;

/// HTTP connections of players at one time, if there are files for them.
const HTTP_MAX: usize = 4_096;

/// The addresses of a front that listens but does not answer yet.
pub(crate) struct Entrance {
    open: Bound,
    /// For operators only.
    private: Option<Bound>,
    files: Files,
    tls: Option<Arc<ServerTls>>,
    operator_tls: Option<Arc<OperatorTls>>,
}

impl Entrance {
    pub(crate) fn bind(settings: &SoloSettings, runtime: &Runtime) -> Result<Self, EdgeFault> {
        let _inside = runtime.enter();
        let tls = settings.tls.clone().map(ServerTls::load).transpose()?.map(Arc::new);
        let operator_tls = settings.admin_tls.clone().map(OperatorTls::load).transpose()?.map(Arc::new);
        if tls.is_some() && settings.advertise.is_bare() {
            tracing::warn!(
                advertise = %settings.advertise,
                "clients that come by TLS will not go to an address without it: advertise wss://"
            );
        }
        let private = settings.admin_listen.map(Front::bind).transpose()?;
        let files = Files::new(open_files(), settings.files_reserved);
        Ok(Self { open: Front::bind_at(&settings.place())?, private, files, tls, operator_tls })
    }

    /// Where people come in.
    pub(crate) fn place(&self) -> &Listen {
        self.open.place()
    }

    /// How many players the process has files for.
    pub(crate) fn players_max(&self) -> usize {
        self.files.players_max(HTTP_MAX)
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
        say_room(self.files.max(), self.players_max());
        let (files, access) = (self.files, settings.access.clone());
        let defaults = FrontSettings::new(page);
        let front = FrontSettings {
            http_max: HTTP_MAX,
            files,
            access,
            tls: self.tls,
            operator_tls: self.operator_tls,
            ..defaults
        };
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

/// As many as this are usual, and not enough for a world with many players.
const FEW_FILES: usize = 4_096;

fn say_room(files: usize, players: usize) {
    if files < FEW_FILES {
        let how = "raise the limit of open files (`ulimit -n`, in systemd LimitNOFILE) for more";
        tracing::warn!(files, players, "this process has room for so many players; {how}");
    } else {
        tracing::info!(files, players, "this process has room for so many players");
    }
}

/// How many files this process may open: each client is one, and the usual limit is 1,024. It is raised as far as the system allows.
fn open_files() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // A refusal changes nothing.
    let is_raised = limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_ok();
    let now = if is_raised { limit.maximum } else { limit.current };
    now.map_or(usize::MAX / 2, |files| usize::try_from(files).unwrap_or(usize::MAX / 2))
}

/// Whether only people at this machine can come, as far as the settings tell.
pub(crate) fn is_development(settings: &SoloSettings) -> bool {
    let knows_proxies = !settings.access.trusted_proxies.is_empty() || !settings.access.hosts.is_empty();
    settings.socket.is_none()
        && settings.listen.ip().is_loopback()
        && !knows_proxies
        && settings.advertise == Advertise::default()
}
