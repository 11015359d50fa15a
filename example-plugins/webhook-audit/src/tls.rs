//! TLS: which certificates are trusted. Used once, by the constructor.

use std::path::Path;
use std::sync::Arc;

use mini_chat_plugin_sdk::{OrPluginError, PluginError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, crypto};
use rustls_platform_verifier::BuilderVerifierExt;

/// How to speak TLS; for an endpoint without TLS (`https` is false) a configuration that trusts nobody.
pub(crate) fn config(https: bool, ca_file: Option<&Path>) -> Result<ClientConfig, PluginError> {
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .or_permanent("set up TLS")?;
    let config = match ca_file {
        Some(path) => config.with_root_certificates(roots(path)?),
        None if https => config
            .with_platform_verifier()
            .or_permanent("read the system's certificates (install the package ca-certificates, or set `ca_file`)")?,
        None => config.with_root_certificates(RootCertStore::empty()),
    };
    Ok(config.with_no_client_auth())
}

fn roots(path: &Path) -> Result<RootCertStore, PluginError> {
    // A file that is not there may lie on a disk that is not mounted yet.
    let text = std::fs::read(path).or_retryable(&format!("ca_file: read {}", path.display()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let doing = || format!("ca_file: read a certificate of {}", path.display());
        roots.add(certificate.or_permanent(&doing())?).or_permanent(&doing())?;
    }
    if roots.is_empty() {
        let message = format!("ca_file: expected certificates in PEM, found none in {}", path.display());
        return Err(PluginError::permanent(message));
    }
    Ok(roots)
}
