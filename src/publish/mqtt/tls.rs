//! TLS by rustls, with the `ring` provider: TLS 1.2 and 1.3, the broker's host name always verified.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use crate::host::file;
use crate::publish::settings::TlsSettings;

/// The largest PEM file: the authorities of a whole system take a quarter of it.
const LARGEST: u64 = 1 << 20;

/// Reads the certificates and makes the configuration of one connection.
///
/// # Errors
/// If a file cannot be read, is no PEM of the right kind, or key and certificate do not belong together.
pub(super) fn client_config(settings: &TlsSettings) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports TLS 1.2 and 1.3")
        .with_root_certificates(match &settings.ca_file {
            Some(path) => own_authority(path)?,
            None => system_authorities()?,
        });
    let config = match &settings.client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let chain = certificates(&client.certificate_file, "client certificate")?;
            let shown = client.key_file.display();
            let key = Zeroizing::new(read(&client.key_file, "client key")?);
            let key = PrivateKeyDer::from_pem_slice(&key).with_context(|| {
                format!("failed to read the client key from {shown}; it must be a PEM file with a private key that needs no passphrase")
            })?;
            builder.with_client_auth_cert(chain, key).with_context(|| {
                format!(
                    "the client key in {shown} does not fit the certificate in {}",
                    client.certificate_file.display()
                )
            })?
        }
    };
    Ok(config)
}

fn certificates(path: &Path, what: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let shown = path.display();
    let certificates = CertificateDer::pem_slice_iter(&read(path, what)?)
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("failed to read the {what} from {shown}; it must be a PEM file"))?;
    if certificates.is_empty() {
        bail!("{shown} holds no {what}: there is no \"BEGIN CERTIFICATE\" in it");
    }
    Ok(certificates)
}

fn read(path: &Path, what: &str) -> anyhow::Result<Vec<u8>> {
    file::read(path, LARGEST).with_context(|| {
        let shown = path.display();
        format!("failed to read the {what} from {shown}; check the path, and that emotiond may read it")
    })
}

fn own_authority(path: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, "certificate authority")? {
        roots.add(certificate).with_context(|| {
            format!("{} holds something that is no certificate of an authority", path.display())
        })?;
    }
    Ok(roots)
}

fn system_authorities() -> anyhow::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems carry certificates that rustls cannot parse; the others are enough.
    let (added, _ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let remedy = "install the package ca-certificates, or set ca_file to the authority of your broker";
        match found.errors.into_iter().next() {
            Some(error) => {
                return Err(error).with_context(|| {
                    format!("failed to read the system's certificate authorities; {remedy}")
                });
            }
            None => bail!("the system has no certificate authorities; {remedy}"),
        }
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::settings::ClientCertificate;

    fn refusal(settings: &TlsSettings) -> String {
        format!("{:#}", client_config(settings).expect_err("refused"))
    }

    #[test]
    fn says_which_file_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["hall".into()]).unwrap().self_signed(&key).unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("ca.pem"), certificate.pem()).unwrap();
        std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
        std::fs::write(path("other.pem"), rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        std::fs::write(path("empty.pem"), "nothing").unwrap();

        let ca = |name: &str| TlsSettings { ca_file: Some(path(name)), client: None };
        assert!(client_config(&ca("ca.pem")).is_ok());
        assert!(refusal(&ca("absent.pem")).contains("absent.pem"));
        assert!(refusal(&ca("empty.pem")).contains("BEGIN CERTIFICATE"));
        std::os::unix::fs::symlink("/dev/zero", path("zero.pem")).unwrap();
        let error = refusal(&ca("zero.pem"));
        assert!(error.contains("zero.pem") && error.contains("it is a device"), "{error}");

        let client = |certificate: &str, key: &str| TlsSettings {
            ca_file: Some(path("ca.pem")),
            client: Some(ClientCertificate { certificate_file: path(certificate), key_file: path(key) }),
        };
        assert!(client_config(&client("ca.pem", "key.pem")).is_ok());
        assert!(refusal(&client("ca.pem", "empty.pem")).contains("private key"));
        assert!(refusal(&client("ca.pem", "zero.pem")).contains("client key"));
        assert!(refusal(&client("zero.pem", "key.pem")).contains("client certificate"));
        let error = refusal(&client("ca.pem", "other.pem"));
        assert!(error.contains("does not fit"), "{error}");
        assert!(!error.contains("PRIVATE KEY"));
    }
}
