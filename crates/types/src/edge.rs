//! Where clients find the edge of a node.

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
