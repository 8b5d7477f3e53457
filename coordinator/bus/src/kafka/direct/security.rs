//! What keeps others out of a client's connections.

use std::sync::Arc;

use rustls::ClientConfig;

use super::login::Credentials;

/// TLS, and who the client is; nothing of either by default. Cheap to copy.
#[derive(Debug, Clone, Default)]
pub(in crate::kafka) struct Security {
    /// Connections are encrypted.
    pub(in crate::kafka) tls: Option<Arc<ClientConfig>>,
    /// The client says who it is.
    pub(in crate::kafka) login: Option<Arc<Credentials>>,
}
