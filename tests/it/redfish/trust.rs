//! TLS with a certificate authority of our own.

use super::fake::*;
use coldswap::model::*;
use coldswap::ports::{Bmc, Deadline};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Bmcs {
    ca_pem: String,
    address: String,
    fingerprint: String,
}

/// A BMC with a certificate for `name`, signed by a new authority.
async fn bmc_named(name: &str) -> Bmcs {
    bmc_with(name, None).await
}

/// The same; `stolen`: the key that it really has, which is not the certificate's.
async fn bmc_with(name: &str, stolen: Option<rcgen::KeyPair>) -> Bmcs {
    let mut params = rcgen::CertificateParams::new(vec![]).expect("parameters");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().expect("key");
    let ca = rcgen::CertifiedIssuer::self_signed(params, ca_key).expect("authority");
    let key = rcgen::KeyPair::generate().expect("key");
    let leaf = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("parameters").signed_by(&key, &ca).expect("leaf");
    let fingerprint = Sha256::digest(leaf.der()).iter().map(|b| format!("{b:02x}")).collect();
    let der = stolen.unwrap_or(key).serialize_der();
    let signer = rustls::crypto::ring::sign::any_supported_type(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der))).expect("key");
    let certified = Arc::new(rustls::sign::CertifiedKey::new(vec![leaf.der().clone()], signer));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("https://{}", listener.local_addr().expect("address"));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(socket).await else { return };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let body = system().to_string();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    Bmcs { ca_pem: ca.pem(), address, fingerprint }
}

fn at(bmc: &Bmcs, tls: TlsTrust) -> BmcEndpoint {
    BmcEndpoint { tls, ..endpoint(&bmc.address, Some(SYSTEM)) }
}

fn pem_file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(file.path(), text).expect("write");
    file
}

#[tokio::test]
async fn who_is_trusted_is_read_and_nobody_else() {
    let bmc = bmc_named("127.0.0.1").await;
    let redfish = redfish();
    let file = pem_file(&bmc.ca_pem);
    let own = TlsTrust::Ca(file.path().display().to_string());
    for trust in [own, TlsTrust::Fingerprint(format!("sha256:{}", bmc.fingerprint)), TlsTrust::Unverified] {
        let reading = redfish.read(&at(&bmc, trust.clone())).await;
        assert_eq!(reading.expect("trusted").power, PowerState::Off, "{trust:?}");
    }
    let (other, empty) = (pem_file(&bmc_named("127.0.0.1").await.ca_pem), pem_file("no certificate\n"));
    let ca = |file: &tempfile::NamedTempFile| TlsTrust::Ca(file.path().display().to_string());
    let shown = format!("sha256:{}", bmc.fingerprint);
    for (trust, says) in [
        (TlsTrust::System, vec!["bmc.tls", "fingerprint", shown.as_str()]),
        (ca(&other), vec!["bmc.tls.ca"]),
        (TlsTrust::Fingerprint("ab".repeat(32)), vec!["pinned", shown.as_str()]),
        (ca(&empty), vec!["bmc.tls.ca"]),
        (TlsTrust::Ca("/no/such.pem".into()), vec!["/no/such.pem"]),
        (TlsTrust::Fingerprint("abc".into()), vec!["64 hex digits"]),
    ] {
        let fault = redfish.read(&at(&bmc, trust.clone())).await.expect_err("not trusted");
        assert_eq!(fault.kind, FaultKind::Refused, "{trust:?}: {fault}");
        assert!(says.iter().all(|s| fault.detail.contains(s)), "{trust:?}: {fault}");
        let fault = redfish.reset(&at(&bmc, trust), ResetType::On, &Deadline::NONE).await.expect_err("not trusted");
        assert_eq!(fault.kind, FaultKind::Refused, "{fault}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_needs_a_pin() {
    let bmc = bmc_named("idrac-7.example").await;
    let file = pem_file(&bmc.ca_pem);
    let fault = redfish().read(&at(&bmc, TlsTrust::Ca(file.path().display().to_string()))).await.expect_err("another name");
    assert!(fault.kind == FaultKind::Refused && fault.detail.contains("fingerprint"), "{fault}");
    redfish().read(&at(&bmc, TlsTrust::Fingerprint(bmc.fingerprint.clone()))).await.expect("pinned");
}

#[tokio::test]
async fn two_bmcs_on_one_address_have_a_pin_each() {
    let (a, b) = (bmc_named("a.example").await, bmc_named("b.example").await);
    let redfish = redfish();
    for bmc in [&a, &b, &a] {
        redfish.read(&at(bmc, TlsTrust::Fingerprint(bmc.fingerprint.clone()))).await.expect("its own pin");
    }
    let fault = redfish.read(&at(&a, TlsTrust::Fingerprint(b.fingerprint.clone()))).await.expect_err("the other's pin");
    assert_eq!(fault.kind, FaultKind::Refused);
}

#[tokio::test]
async fn plain_http_to_a_tls_port_and_tls_to_a_plain_one_are_no_certificate_matter() {
    let fake = Fake::with_system(system()).await;
    let tls = BmcEndpoint { address: fake.at().address.replace("http:", "https:"), ..fake.at() };
    let fault = redfish().read(&tls).await.expect_err("no TLS there");
    assert_eq!(fault.kind, FaultKind::Answered, "somebody is there: {fault}");
    assert!(fault.detail.contains("TLS"), "{fault}");
}

#[tokio::test]
async fn a_pinned_certificate_without_its_key_is_worth_nothing() {
    let thief = bmc_with("127.0.0.1", Some(rcgen::KeyPair::generate().expect("key"))).await;
    let fault = redfish().read(&at(&thief, TlsTrust::Fingerprint(thief.fingerprint.clone()))).await.expect_err("a copied certificate");
    assert_eq!(fault.kind, FaultKind::Refused, "{fault}");
    redfish().read(&at(&thief, TlsTrust::Unverified)).await.expect("knowingly unverified");
}
