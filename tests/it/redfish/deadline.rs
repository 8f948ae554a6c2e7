//! What is held back when the lease has ended, and how late that is noticed.

use super::fake::*;
use coldswap::adapter::redfish::Redfish;
use coldswap::adapter::secrets::SystemSecrets;
use coldswap::model::*;
use coldswap::ports::{Bmc, Clock, Deadline};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Goes on by one each time that it is asked.
#[derive(Default)]
struct Steps(AtomicI64);

impl Clock for Steps {
    fn now(&self) -> Time {
        Time(self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

/// A deadline that holds for so many tests and fails the next.
fn holds_for(tests: i64) -> Deadline {
    Deadline::new(1, Arc::new(Steps::default()), Time(tests + 1))
}

/// A BMC that answers reads, closes each connection, and keeps what it was sent on each.
async fn listener() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("address"));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let n = socket.read(&mut request).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..n]).into_owned();
            let body = if text.starts_with("GET") { system().to_string() } else { String::new() };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            kept.lock().expect("lock").push(text);
            let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    (address, heard)
}

#[tokio::test]
async fn a_lease_that_ends_while_the_connection_is_made_lets_no_byte_out() {
    let (address, heard) = listener().await;
    let redfish = Redfish::new(options(), Arc::new(SystemSecrets::default()));
    let at = endpoint(&address, Some(SYSTEM));
    redfish.read(&at).await.expect("reading");
    let sent = || heard.lock().expect("lock").iter().filter(|r| !r.starts_with("GET")).cloned().collect::<Vec<_>>();
    // The first test comes before anything is done, the second when the connection stands.
    let fault = redfish.reset(&at, ResetType::On, &holds_for(0)).await.expect_err("too late");
    assert_eq!((fault.kind, sent().len()), (FaultKind::Transient, 0), "{fault}");
    let fault = redfish.reset(&at, ResetType::On, &holds_for(1)).await.expect_err("too late at the write");
    assert_eq!(fault.kind, FaultKind::Transient, "{fault}");
    assert!(fault.detail.contains("was not sent: the lease of this executor had ended"), "{fault}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(sent(), [""], "the connection stood, and nothing went over it");
    redfish.reset(&at, ResetType::On, &holds_for(2)).await.expect("in time");
    let requests = sent();
    let post = requests.last().expect("a request");
    assert!(post.starts_with("POST") && post.to_lowercase().contains("content-length: 18\r\n"), "{post}");
    assert!(!post.to_lowercase().contains("chunked") && post.ends_with("{\"ResetType\":\"On\"}"), "{post}");
}

#[tokio::test]
async fn a_boot_configuration_is_held_back_as_well() {
    let fake = Fake::with_system(system()).await;
    fake.on(&format!("PATCH {SYSTEM}"), status(204));
    let want = BootSettings { iscsi: None, boot_override: Some(BootOverride { target: Some("Pxe".into()), enabled: Some("Once".into()) }) };
    let redfish = Redfish::new(options(), Arc::new(SystemSecrets::default()));
    let fault = redfish.set_boot(&fake.at(), &want, &holds_for(1)).await.expect_err("too late");
    assert_eq!((fault.kind, fake.commands().len()), (FaultKind::Transient, 0), "{fault}");
    redfish.set_boot(&fake.at(), &want, &holds_for(2)).await.expect("in time");
    assert_eq!(fake.commands().len(), 1);
}
