//! The suite of all fabrics, on sockets of this machine: without TLS, and with it.

mod common;

mod plain {
    gundo_fabric::conformance!(crate::common::Loopback::default());
}

mod tls {
    gundo_fabric::conformance!(crate::common::Loopback::with_tls());
}
