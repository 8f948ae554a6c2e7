//! TLS with the cloud's own settings: whose word is taken, and who we show ourselves to be.

use super::{by, quick};
use coldswap::adapter::ironic::Ironic;
use coldswap::ports::Inventory;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BODY: &str = r#"{"version": {"min_version": "1.1", "version": "1.115"}, "nodes": [], "connectors": [], "targets": []}"#;

/// A server that wants a certificate of our authority, and says the same to everything. Its files: `ca.pem`, and for us
/// `cert.pem`, `key.pem` and `both.pem`.
async fn server(folder: &Path) -> String {
    let mut params = rcgen::CertificateParams::new(vec![]).expect("parameters");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().expect("key")).expect("authority");
    let leaf = |name: &str| {
        let key = rcgen::KeyPair::generate().expect("key");
        let cert = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("parameters").signed_by(&key, &ca).expect("leaf");
        (cert, key)
    };
    let put = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file");
    let (ours, our_key) = leaf("coldswap");
    put("ca.pem", &ca.pem());
    put("cert.pem", &ours.pem());
    put("key.pem", &our_key.serialize_pem());
    put("both.pem", &(ours.pem() + &our_key.serialize_pem()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    let (theirs, their_key) = leaf("127.0.0.1");
    roots.add(ca.der().clone()).expect("an authority");
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().expect("a verifier");
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![theirs.der().clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(their_key.serialize_der())))
        .expect("a certificate");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("https://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(socket).await else { return };
                let _ = stream.read(&mut [0; 8192]).await;
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{BODY}", BODY.len());
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

#[tokio::test]
async fn the_clouds_own_authority_and_our_certificate_are_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = server(folder.path()).await;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let asked = async |more: &[(&str, String)]| {
        let base = [("OS_AUTH_TYPE", "none"), ("OS_ENDPOINT", address.as_str())];
        let vars: Vec<(&str, &str)> = base.into_iter().chain(more.iter().map(|(k, v)| (*k, v.as_str()))).collect();
        Ironic::new(None, by(&vars), quick()).fleet().await.map_err(|fault| fault.detail)
    };
    let (ca, cert, key) = (("OS_CACERT", file("ca.pem")), ("OS_CERT", file("cert.pem")), ("OS_KEY", file("key.pem")));
    assert!(asked(&[ca.clone(), cert.clone(), key.clone()]).await.is_ok());
    assert!(asked(&[ca.clone(), ("OS_CERT", file("both.pem"))]).await.is_ok(), "one file may hold both");
    assert!(asked(&[("OS_INSECURE", "true".to_owned()), cert.clone(), key.clone()]).await.is_ok());
    let told = asked(&[cert.clone(), key.clone()]).await.expect_err("a strange authority");
    assert!(told.contains("not trusted by the system") && told.contains("`cacert`"), "{told}");
    assert!(asked(std::slice::from_ref(&ca)).await.is_err(), "it wants to see who we are");
    let told = asked(&[ca.clone(), cert.clone(), ("OS_KEY", file("ca.pem"))]).await.expect_err("no key");
    assert!(told.contains("no private key") && told.contains("ca.pem"), "{told}");
    let told = asked(&[("OS_CACERT", file("none.pem")), cert, key]).await.expect_err("no such file");
    assert!(told.contains("none.pem") && !told.contains("bmc.tls"), "{told}");
}
