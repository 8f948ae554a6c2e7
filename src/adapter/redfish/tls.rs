//! Which certificate is good enough, and one shared HTTP client for each way of deciding it.
//!
//! A default client loads the system's roots each time it is built (25 ms): one for each of 5,000 BMCs would take
//! minutes. So there is one client for the system's roots, built when it is first needed, one for each CA file, one for
//! no verification at all, and a shelf of clients for pinned fingerprints whose verifier looks the pin up by server
//! name. A server name has no port, so a second pin for one name (labs: many BMCs on one address) goes to the next shelf.

use super::RedfishOptions;
use crate::model::{Fault, TlsTrust};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// rustls keeps one server for each eight sessions that it is allowed: enough for 5,000 BMCs.
const SESSIONS: usize = 8 * 5_000;

/// How many refused certificates are remembered for messages.
const SEEN_MAX: usize = 10_000;

enum Rule {
    Roots(Arc<WebPkiServerVerifier>),
    /// Server name to SHA-256 of the leaf certificate.
    Pins(Mutex<HashMap<String, String>>),
    Nothing,
}

/// One way of deciding. It remembers the fingerprints that it refused, so that a message can show them to a person.
pub(in crate::adapter) struct Verifier {
    rule: Rule,
    provider: Arc<CryptoProvider>,
    refused: Mutex<HashMap<String, String>>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(64), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

impl Verifier {
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.rule {
            Rule::Nothing => Ok(ServerCertVerified::assertion()),
            Rule::Roots(roots) => roots.verify_server_cert(leaf, between, name, ocsp, now),
            Rule::Pins(pins) => match lock(pins).get(name.to_str().as_ref()) {
                Some(pin) if *pin == hex(&Sha256::digest(leaf)) => Ok(ServerCertVerified::assertion()),
                _ => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
            },
        }
    }

    /// The fingerprint of the certificate that this server last showed and that was refused.
    pub(super) fn refused(&self, name: &str) -> Option<String> {
        lock(&self.refused).get(name).cloned()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.judge(leaf, between, name, ocsp, now);
        if verdict.is_err() {
            let mut refused = lock(&self.refused);
            if refused.len() < SEEN_MAX {
                refused.insert(name.to_str().into_owned(), hex(&Sha256::digest(leaf)));
            }
        }
        verdict
    }

    /// The handshake signature proves that the other side holds the certificate's key: without it a pin would be worth
    /// nothing, as a certificate is public.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.rule {
            Rule::Nothing => Ok(HandshakeSignatureValid::assertion()),
            _ => verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.rule {
            Rule::Nothing => Ok(HandshakeSignatureValid::assertion()),
            _ => verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A client and the verifier behind it.
#[derive(Clone)]
pub(in crate::adapter) struct Channel {
    pub client: reqwest::Client,
    pub verifier: Arc<Verifier>,
}

/// The shared clients.
pub(in crate::adapter) struct Channels {
    provider: Arc<CryptoProvider>,
    options: RedfishOptions,
    /// Our own certificate, where the other side wants to see one.
    own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    built: Mutex<Built>,
}

#[derive(Default)]
struct Built {
    plain: Option<Channel>,
    system: Option<Channel>,
    unverified: Option<Channel>,
    by_ca: BTreeMap<String, Channel>,
    shelves: Vec<Channel>,
}

impl Channels {
    pub(in crate::adapter) fn new(options: RedfishOptions) -> Channels {
        Channels { provider: Arc::new(ring::default_provider()), options, own: None, built: Mutex::default() }
    }

    /// The same, showing a certificate of our own: PEM files of the chain and of its key.
    pub(in crate::adapter) fn showing(options: RedfishOptions, (cert, key): &(String, String)) -> Result<Channels, Fault> {
        let bad = |path: &str, why: String| Fault::refused(format!("`{path}`: {why}"));
        let of = |path: &str| std::fs::read(path).map_err(|e| bad(path, e.to_string()));
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&of(cert)?).collect();
        let chain = chain.map_err(|_| bad(cert, "no PEM certificate can be read from it".to_owned()))?;
        let key = PrivateKeyDer::from_pem_slice(&of(key)?).map_err(|_| bad(key, "no private key can be read from it".to_owned()))?;
        Ok(Channels { own: Some((chain, key)), ..Channels::new(options) })
    }

    /// The client for this trust. `host` is the server name that a pin is looked up by.
    pub(in crate::adapter) fn channel(&self, trust: &TlsTrust, host: &str) -> Result<Channel, Fault> {
        let mut built = lock(&self.built);
        let Built { system, unverified, by_ca, shelves, .. } = &mut *built;
        match trust {
            TlsTrust::System => keep(system, || self.build(self.roots(system_roots())?)),
            TlsTrust::Unverified => keep(unverified, || self.build(Rule::Nothing)),
            TlsTrust::Ca(path) => match by_ca.get(path) {
                Some(channel) => Ok(channel.clone()),
                None => {
                    let channel = self.build(self.roots(ca_file(path)?)?)?;
                    by_ca.insert(path.clone(), channel.clone());
                    Ok(channel)
                }
            },
            TlsTrust::Fingerprint(pin) => self.pinned(shelves, pin, host),
        }
    }

    /// The client for plain HTTP: it needs no roots, which take their time to load, and trusts nobody with TLS.
    pub(in crate::adapter) fn plain(&self) -> Result<Channel, Fault> {
        keep(&mut lock(&self.built).plain, || self.build(Rule::Pins(Mutex::default())))
    }

    fn pinned(&self, shelves: &mut Vec<Channel>, pin: &str, host: &str) -> Result<Channel, Fault> {
        let pin = clean_pin(pin)?;
        let name = server_name(host);
        for shelf in shelves.iter() {
            let Rule::Pins(pins) = &shelf.verifier.rule else { continue };
            if *lock(pins).entry(name.clone()).or_insert_with(|| pin.clone()) == pin {
                return Ok(shelf.clone());
            }
        }
        let shelf = self.build(Rule::Pins(Mutex::new(HashMap::from([(name, pin)]))))?;
        shelves.push(shelf.clone());
        Ok(shelf)
    }

    fn roots(&self, roots: RootCertStore) -> Result<Rule, Fault> {
        if roots.is_empty() {
            // An empty store refuses every certificate, which is right, but webpki will not build one.
            return Ok(Rule::Pins(Mutex::default()));
        }
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map(Rule::Roots)
            .map_err(|e| Fault::refused(format!("the certificate authorities cannot be used: {e}")))
    }

    fn build(&self, rule: Rule) -> Result<Channel, Fault> {
        let verifier = Arc::new(Verifier { rule, provider: Arc::clone(&self.provider), refused: Mutex::default() });
        let tls = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| Fault::refused(format!("TLS cannot be set up: {e}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::<Verifier>::clone(&verifier));
        let mut tls = match &self.own {
            Some((chain, key)) => tls
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|e| Fault::refused(format!("our own certificate cannot be used: {e}")))?,
            None => tls.with_no_client_auth(),
        };
        tls.resumption = Resumption::in_memory_sessions(SESSIONS);
        let builder = reqwest::Client::builder();
        // A command that the BMC's side has not taken by then is not delivered later either: the kernel would go on for
        // minutes, also for a process that is stopped or dead.
        #[cfg(target_os = "linux")]
        let builder = builder.tcp_user_timeout(self.options.request_timeout);
        let client = builder
            .tls_backend_preconfigured(tls)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .pool_max_idle_per_host(self.options.requests_at_once_per_bmc.max(1))
            .pool_idle_timeout(self.options.idle_timeout)
            .connect_timeout(self.options.connect_timeout)
            .build()
            .map_err(|_| Fault::refused("the HTTP client cannot be set up"))?;
        Ok(Channel { client, verifier })
    }
}

fn keep(place: &mut Option<Channel>, build: impl FnOnce() -> Result<Channel, Fault>) -> Result<Channel, Fault> {
    if let Some(channel) = place {
        return Ok(channel.clone());
    }
    Ok(place.insert(build()?).clone())
}

/// The name that a verifier sees for this host of a URL: canonical, an IPv6 address without brackets.
pub(super) fn server_name(host: &str) -> String {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare).map_or_else(|_| bare.to_owned(), |name| name.to_str().into_owned())
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn ca_file(path: &str) -> Result<RootCertStore, Fault> {
    let bad = |why: String| Fault::refused(format!("certificate authorities of `{path}`: {why}; set `bmc.tls.ca` to a PEM file"));
    let pem = std::fs::read(path).map_err(|e| bad(e.to_string()))?;
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(&pem) {
        let cert = cert.map_err(|e| bad(e.to_string()))?;
        roots.add(cert).map_err(|e| bad(e.to_string()))?;
    }
    if roots.is_empty() { Err(bad("no certificate in it".to_owned())) } else { Ok(roots) }
}

/// 64 lower-case hex digits, however the pin was written (`sha256:`, colons, capitals).
fn clean_pin(pin: &str) -> Result<String, Fault> {
    let bare = pin.trim().to_lowercase();
    let digits: String = bare.trim_start_matches("sha256:").chars().filter(|c| *c != ':').collect();
    if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(digits);
    }
    Err(Fault::refused(format!("fingerprint `{pin}` is not a SHA-256: write `sha256:` and 64 hex digits")))
}

/// Why a certificate was refused and which setting would accept it, if `error` is such a refusal.
pub(super) fn certificate_advice(error: &Error, trust: &TlsTrust, shown: Option<&str>) -> Option<String> {
    let Error::InvalidCertificate(why) = error else { return None };
    let seen = shown.map_or_else(String::new, |f| format!("; it showed `sha256:{f}`"));
    Some(match trust {
        TlsTrust::Fingerprint(_) => format!(
            "certificate is not the pinned one{seen}: find out whether the BMC got a new certificate or another machine answers, then set `bmc.tls.fingerprint`"
        ),
        TlsTrust::Ca(path) => format!(
            "certificate is not trusted by `{path}` ({why}){seen}: set `bmc.tls.ca` to the right authorities, or pin it with `bmc.tls.fingerprint`"
        ),
        TlsTrust::System | TlsTrust::Unverified => format!(
            "certificate is not trusted ({why}){seen}: set `bmc.tls` to `{{ca: FILE}}`, to `{{fingerprint: \"sha256:..\"}}` after comparing it at the BMC, or knowingly to `{{verify: false}}`"
        ),
    })
}

/// The rustls error at the bottom of a request error, if there is one. An `io::Error` hides what it wraps from `source`.
pub(in crate::adapter) fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(found) = inner.and_then(|e| tls_error(e)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_in_any_common_spelling_and_nothing_else() {
        let digits = "ab".repeat(32);
        let colons = (0..32).map(|_| "AB").collect::<Vec<_>>().join(":");
        for pin in [digits.clone(), format!("sha256:{digits}"), format!("SHA256:{colons}")] {
            assert_eq!(clean_pin(&pin).as_deref(), Ok(digits.as_str()), "{pin}");
        }
        assert!(clean_pin("sha256:abcd").is_err() && clean_pin(&"zz".repeat(32)).is_err());
    }

    #[test]
    fn one_server_name_with_two_pins_needs_two_clients_and_two_names_need_one() {
        let channels = Channels::new(RedfishOptions::default());
        let pin = |c: &str| TlsTrust::Fingerprint(c.repeat(64));
        let a = channels.channel(&pin("a"), "127.0.0.1").expect("client");
        let b = channels.channel(&pin("b"), "127.0.0.1").expect("client");
        let c = channels.channel(&pin("b"), "127.0.0.2").expect("client");
        assert!(!Arc::ptr_eq(&a.verifier, &b.verifier));
        assert!(Arc::ptr_eq(&a.verifier, &c.verifier));
        assert!(Arc::ptr_eq(&b.verifier, &channels.channel(&pin("b"), "127.0.0.1").expect("client").verifier));
    }
}
