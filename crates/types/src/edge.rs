//! Where the edge of a node is, and where the node itself runs.

/// Where clients find the edge of a node. An empty field says what the client knows already from the address it came by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EdgeAddress {
    /// `ws` or `wss`; empty: the scheme the client came by.
    pub scheme: String,
    /// Name or IP address; empty: the host the client came by.
    pub host: String,
    /// TCP port; 0: the port the client came by.
    pub port: u16,
    /// Path of the WebSocket; empty: the path the client came by. Without a leading slash it continues that path, less a number at
    /// its end: `2` after `/game/ws`, or after `/game/ws/1`, is `/game/ws/2`.
    pub path: String,
}

/// Where a node runs. The default is that of a node in a process with all others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Site {
    /// `HOST:PORT` at which other nodes reach it; empty: they are in the same process.
    pub fabric: String,
    /// `HOST:PORT` at which operators' requests to it are passed on by other processes; empty: it takes none from them.
    pub admin: String,
    /// Label of the machine: nodes with the same label fail together. Empty: a machine of its own.
    pub machine: String,
    /// Label of the place that the machine is in, such as a room or a data centre. For people.
    pub zone: String,
}
