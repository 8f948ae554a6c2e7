//! Secrets from where the inventory says they are: environment, file, command. They are read at the moment of use and
//! kept nowhere. Messages name the place, never the value.

use crate::model::{Fault, SecretRef};
use crate::ports::Secrets;
use secrecy::SecretString;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A secret longer than this is a wrong file.
const SECRET_BYTES_MAX: usize = 64 * 1024;

/// The secrets of the machine that we run on.
#[derive(Clone, Debug)]
pub struct SystemSecrets {
    /// How long a command may take. A password manager may ask a person.
    pub command_timeout: Duration,
}

impl Default for SystemSecrets {
    fn default() -> SystemSecrets {
        SystemSecrets { command_timeout: Duration::from_secs(30) }
    }
}

impl Secrets for SystemSecrets {
    fn reveal(&self, secret: &SecretRef) -> Result<SecretString, Fault> {
        let bytes = match secret {
            SecretRef::Env(name) => match std::env::var_os(name) {
                Some(value) => value.into_encoded_bytes(),
                None => return Err(failed(secret, "is not set")),
            },
            SecretRef::File(path) => {
                let file = std::fs::File::open(path).map_err(|e| failed(secret, &e.to_string()))?;
                read_bounded(file).map_err(|e| failed(secret, &e.to_string()))?
            }
            SecretRef::Command(argv) => self.run(secret, argv)?,
        };
        if bytes.len() > SECRET_BYTES_MAX {
            return Err(failed(secret, "gave more than 64 KiB; that is no secret"));
        }
        let text = String::from_utf8(bytes).map_err(|_| failed(secret, "is not UTF-8 text"))?;
        let text = without_line_end(&text);
        if text.is_empty() { Err(failed(secret, "is empty")) } else { Ok(text.into()) }
    }
}

impl SystemSecrets {
    fn run(&self, secret: &SecretRef, argv: &[String]) -> Result<Vec<u8>, Fault> {
        let [program, arguments @ ..] = argv else { return Err(failed(secret, "is an empty list")) };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Its own words may hold what it was asked for.
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| failed(secret, &e.to_string()))?;
        let (send, output) = std::sync::mpsc::channel();
        if let Some(out) = child.stdout.take() {
            std::thread::spawn(move || send.send(read_bounded(out)));
        }
        let until = Instant::now() + self.command_timeout;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
                ended => {
                    let _ = child.kill();
                    let _ = child.wait();
                    let why = ended.err().map_or_else(|| format!("gave nothing within {:?}", self.command_timeout), |e| e.to_string());
                    return Err(failed(secret, &why));
                }
            }
        };
        if !status.success() {
            return Err(failed(secret, &format!("failed ({status})")));
        }
        // Something that it left running may hold its output open.
        match output.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(read) => read.map_err(|e| failed(secret, &e.to_string())),
            Err(_) => Err(failed(secret, "ended and kept its output open")),
        }
    }
}

fn read_bounded(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(SECRET_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// What needs a secret that cannot be had has not been done and is not helped by trying again.
fn failed(secret: &SecretRef, why: &str) -> Fault {
    Fault::refused(format!("secret of {secret}: {why}"))
}

/// [`Secrets::reveal`] for async callers: files and commands take their time.
pub(crate) async fn blocking_reveal(secrets: &Arc<dyn Secrets>, secret: &SecretRef) -> Result<SecretString, Fault> {
    let (secrets, wanted) = (Arc::clone(secrets), secret.clone());
    match tokio::task::spawn_blocking(move || secrets.reveal(&wanted)).await {
        Ok(result) => result,
        Err(_) => Err(failed(secret, "could not be read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn reveal(secret: SecretRef) -> Result<String, String> {
        let secrets = SystemSecrets { command_timeout: Duration::from_secs(10) };
        secrets.reveal(&secret).map(|s| s.expose_secret().to_owned()).map_err(|f| f.detail)
    }

    fn command(argv: &[&str]) -> SecretRef {
        SecretRef::Command(argv.iter().map(|a| (*a).to_owned()).collect())
    }

    #[test]
    fn the_last_line_end_and_no_more_is_dropped() {
        assert_eq!(reveal(command(&["printf", "a b \\n\\n"])).as_deref(), Ok("a b \n"));
        assert_eq!(reveal(command(&["printf", "x\\r\\n"])).as_deref(), Ok("x"));
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), "pass word\n").expect("write");
        assert_eq!(reveal(SecretRef::File(file.path().display().to_string())).as_deref(), Ok("pass word"));
        assert_eq!(reveal(SecretRef::Env("PATH".into())), std::env::var("PATH").map_err(|e| e.to_string()));
    }

    #[test]
    fn a_failure_names_the_place_and_not_the_value() {
        for (secret, name) in [
            (SecretRef::Env("COLDSWAP_NO_SUCH".into()), "`COLDSWAP_NO_SUCH`"),
            (SecretRef::File("/no/such/file".into()), "`/no/such/file`"),
            (command(&["sh", "-c", "echo hunter2; echo hunter2 >&2; exit 3"]), "`sh`"),
            (command(&["/no/such/program"]), "`/no/such/program`"),
            (command(&["printf", "hunter2\\377"]), "UTF-8"),
            (command(&["true"]), "is empty"),
            (command(&[]), "empty list"),
        ] {
            let why = reveal(secret).expect_err(name);
            assert!(why.contains(name) && !why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let secrets = SystemSecrets { command_timeout: Duration::from_millis(50) };
        let before = Instant::now();
        let fault = secrets.reveal(&command(&["sleep", "30"])).expect_err("too slow");
        assert!(before.elapsed() < Duration::from_secs(10) && fault.detail.contains("within"), "{fault}");
    }
}
