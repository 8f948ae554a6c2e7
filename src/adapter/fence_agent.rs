//! Fence agents: programs that switch a machine off, by the ClusterLabs FenceAgentAPI. Debian's `fence-agents` brings some
//! seventy: IPMI, PDUs, hypervisors, clouds.
//!
//! - Options go in by standard input, one `name=value` a line, and never by the command line, where everybody could read
//!   them. The action is always the last line, so that no option can take its place.
//! - `status` exits with 0 for on and 2 for off. 2 is also what a shell or an interpreter gives that cannot even begin, so
//!   an off counts only where a line of the agent's states it as well (`fencing.py` prints `Status: OFF`).
//! - How `off` exits is told and decides nothing (rule S5).

use super::fence_metadata;
use super::hooks::{Mask, Tail};
use super::process::{Group, describe};
use super::secrets::blocking_reveal;
use crate::model::*;
use crate::ports::{Deadline, FenceAgent, Secrets};
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio::sync::Semaphore;

/// Where distributions put them; a service's PATH often has none of these.
const DIRECTORIES: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];
/// Each is an interpreter of its own; more at once would starve a small machine.
const AT_ONCE: usize = 16;
/// Metadata of the largest agent has 60 KiB.
const OUTPUT_MAX: usize = 256 * 1024;
/// So much of what an agent said last goes into a fault.
const SAID_MAX: usize = 300;

#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// Machines are simulated: no agent is run.
    pub lab: bool,
    /// For one action. Pacemaker's default for agents is a minute.
    pub timeout: Duration,
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
}

impl Default for AgentOptions {
    fn default() -> AgentOptions {
        AgentOptions { lab: false, timeout: Duration::from_secs(60), grace: Duration::from_secs(2) }
    }
}

/// Runs fence agents.
pub struct FenceAgents {
    options: AgentOptions,
    secrets: Arc<dyn Secrets>,
    turns: Semaphore,
}

/// How one run of an agent ended.
struct Ended {
    /// None: killed by a signal or because its time was up.
    code: Option<i32>,
    how: String,
    /// Secrets masked.
    said: String,
}

impl Ended {
    /// The end of what it said, on one line.
    fn last_words(&self) -> String {
        let line = self.said.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut from = line.len().saturating_sub(SAID_MAX);
        while !line.is_char_boundary(from) {
            from += 1;
        }
        if line.is_empty() { self.how.clone() } else { format!("{}: {}", self.how, &line[from..]) }
    }

    /// A line that states it, and none that states the contrary: `Status: OFF` is what every agent on `fencing.py` prints.
    /// A word somewhere is not enough: usage and error messages name `off` too, and end with the same 2.
    fn says_off(&self) -> bool {
        let states = |what: &str| self.said.lines().any(|line| states(&line.trim().to_lowercase(), what));
        // What else such a line may say of On, in whatever words, is no Off.
        let doubt = |line: &str| ["status: on", "status is on", "power is on"].iter().any(|on| line.contains(on));
        states("off") && !states("on") && !self.said.lines().any(|line| doubt(&line.to_lowercase()))
    }
}

/// What may stand before the word on a line that states it. The whole line is compared: `timed out waiting for power status:
/// off` states nothing.
const STATED_BY: [&str; 7] = ["", "status: ", "status is ", "power is ", "power status: ", "power status is ", "chassis power is "];

/// `off`, `status: off`, `power is off`; `line` is trimmed and in lower case.
fn states(line: &str, what: &str) -> bool {
    line.trim_end_matches('.').strip_suffix(what).is_some_and(|before| STATED_BY.contains(&before))
}

impl FenceAgents {
    pub fn new(options: AgentOptions, secrets: Arc<dyn Secrets>) -> FenceAgents {
        FenceAgents { options, secrets, turns: Semaphore::new(AT_ONCE) }
    }

    async fn run(&self, call: &AgentCall, action: &str, deadline: &Deadline) -> Result<Ended, Fault> {
        if self.options.lab {
            return Err(Fault::refused(format!("`{}` is not run in a lab: its plugs are real", call.name)));
        }
        let program = program(&call.name).ok_or_else(|| not_installed(&call.name))?;
        let mut mask = Mask::default();
        let input = self.input(call, action, &mut mask).await?;
        let _turn = self.turns.acquire().await;
        let failed = |e: std::io::Error| Fault::refused(format!("`{}` could not be started: {e}", program.display()));
        // One pipe for both streams keeps them in the order in which they were written.
        let (reader, writer) = std::io::pipe().map_err(failed)?;
        let mut output = pipe::Receiver::from_owned_fd(reader.into()).map_err(failed)?;
        let mut command = Command::new(&program);
        command.env("LC_ALL", "C").stdin(Stdio::piped()).process_group(0).kill_on_drop(true);
        command.stdout(writer.try_clone().map_err(failed)?).stderr(writer);
        deadline.test(format_args!("`{call}`, {action},"))?;
        let mut child = command.spawn().map_err(failed)?;
        drop(command);
        if let Some(mut stdin) = child.stdin.take() {
            // An agent that reads nothing has its reasons; how it ends tells them.
            let _ = stdin.write_all(input.expose_secret().as_bytes()).await;
        }
        let mut group = Group::of(child);
        let mut tail = Tail::up_to(&mask, OUTPUT_MAX);
        let ended = group.watch(&mut output, &mut tail, (self.options.timeout, self.options.grace)).await;
        let ended = ended.map_err(|e| Fault::unknown(format!("`{call}` was started, but how it ended cannot be seen: {e}")))?;
        let (code, how) = match ended {
            Some(status) => (status.code(), describe(status)),
            None => (None, format!("killed after {} s", self.options.timeout.as_secs())),
        };
        Ok(Ended { code, how, said: tail.text(&mask) })
    }

    /// What it reads: the options, then the action.
    async fn input(&self, call: &AgentCall, action: &str, mask: &mut Mask) -> Result<SecretString, Fault> {
        let mut text = String::new();
        for (name, value) in &call.options {
            if FORBIDDEN_OPTIONS.contains(&option_name(name)) {
                return Err(Fault::refused(format!("`{}`: the option `{name}` is not a runbook's to set", call.name)));
            }
            let value = match value {
                Sensitive::Plain(text) => SecretString::from(text.clone()),
                Sensitive::Secret(secret) => {
                    let revealed = blocking_reveal(&self.secrets, secret).await?;
                    mask.add(&revealed);
                    revealed
                }
            };
            if name.contains(['\n', '\r', '=']) || value.expose_secret().contains(['\n', '\r']) {
                return Err(Fault::refused(format!("`{}`: the option `{name}` has more than one line", call.name)));
            }
            if NAMING_OPTIONS.contains(&option_name(name)) && value.expose_secret().trim().is_empty() {
                return Err(Fault::refused(format!("`{}`: the option `{name}` is blank", call.name)));
            }
            text.push_str(&format!("{name}={}\n", value.expose_secret()));
        }
        text.push_str(&format!("action={action}\n"));
        Ok(text.into())
    }
}

/// A path as it is; a name where agents are, then in PATH.
fn program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|p| p.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = DIRECTORIES.iter().map(PathBuf::from).chain(std::env::split_paths(&path));
    directories.map(|d| d.join(name)).find(|p| p.is_file())
}

fn not_installed(name: &str) -> Fault {
    Fault::refused(format!("fence agent `{name}` is not installed here; Debian: `apt install fence-agents`"))
}

#[async_trait]
impl FenceAgent for FenceAgents {
    async fn off(&self, call: &AgentCall, deadline: &Deadline) -> Result<(), Fault> {
        let ended = self.run(call, "off", deadline).await?;
        if ended.code == Some(0) { Ok(()) } else { Err(Fault::unknown(format!("`{call}`, off: {}", ended.last_words()))) }
    }

    async fn status(&self, call: &AgentCall) -> Result<PlugState, Fault> {
        let ended = self.run(call, "status", &Deadline::NONE).await?;
        match ended.code {
            Some(0) => Ok(PlugState::On),
            Some(2) if ended.says_off() => Ok(PlugState::Off),
            Some(2) => Err(Fault::transient(format!("`{call}`, status: exit 2 and not a word of off: {}", ended.last_words()))),
            _ => Err(Fault::transient(format!("`{call}`, status: {}", ended.last_words()))),
        }
    }

    async fn metadata(&self, name: &str) -> Result<AgentMetadata, Fault> {
        let call = AgentCall { name: name.to_owned(), options: Default::default() };
        let ended = self.run(&call, "metadata", &Deadline::NONE).await?;
        if ended.code != Some(0) {
            return Err(Fault::transient(format!("`{name}`, metadata: {}", ended.last_words())));
        }
        fence_metadata::read(&ended.said).map_err(|why| Fault::transient(format!("`{name}`, metadata: {why}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::secrets::SystemSecrets;
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    /// An agent that is a shell script.
    fn script(directory: &tempfile::TempDir, body: &str) -> AgentCall {
        let path = directory.path().join("fence_test");
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("write");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("mode");
        let secret = SecretRef::Command(vec!["printf".into(), "hunter2-hunter2".into()]);
        let options =
            BTreeMap::from([("plug".to_owned(), Sensitive::Plain("7".into())), ("password".to_owned(), Sensitive::Secret(secret))]);
        AgentCall { name: path.display().to_string(), options }
    }

    fn agents(timeout: u64) -> FenceAgents {
        let options = AgentOptions { timeout: Duration::from_millis(timeout), grace: Duration::from_millis(50), lab: false };
        FenceAgents::new(options, Arc::new(SystemSecrets::default()))
    }

    #[tokio::test]
    async fn options_go_in_by_standard_input_and_the_action_last() {
        let directory = tempfile::tempdir().expect("directory");
        let seen = directory.path().join("seen");
        let call = script(&directory, &format!("cat > {0}; echo \"$# $*\" >> {0}", seen.display()));
        agents(10_000).off(&call, &Deadline::NONE).await.expect("exit 0");
        let text = std::fs::read_to_string(seen).expect("seen");
        assert_eq!(text, "password=hunter2-hunter2\nplug=7\naction=off\n0 \n");
    }

    #[tokio::test]
    async fn only_an_off_in_code_and_word_is_off() {
        let directory = tempfile::tempdir().expect("directory");
        let cases = [
            ("echo Status: ON", Ok(PlugState::On)),
            ("echo Status: OFF; exit 2", Ok(PlugState::Off)),
            ("echo Status: OFF", Ok(PlugState::On)),
            ("exit 2", Err("not a word of off")),
            ("echo 'usage: fence_x --action {on,off,status}'; exit 2", Err("not a word of off")),
            ("echo unable to switch offline; exit 2", Err("not a word of off")),
            ("echo 'usage: fence_x [-o {off,reboot,metadata}]'; exit 2", Err("not a word of off")),
            ("echo 'error: argument --action: choose from off, or off'; exit 2", Err("not a word of off")),
            ("echo 'cannot be switched off'; exit 2", Err("not a word of off")),
            ("echo Status: ON; echo Status: OFF; exit 2", Err("not a word of off")),
            ("echo 'Chassis Power is off'; exit 2", Ok(PlugState::Off)),
            ("echo Off; exit 2", Ok(PlugState::Off)),
            ("echo no route >&2; exit 1", Err("exit 1: no route")),
            ("kill -9 $$", Err("signal 9")),
            ("read x; cat >/dev/null; echo password was hunter2-hunter2; exit 3", Err("password was ***")),
        ];
        for (body, want) in cases {
            let got = agents(10_000).status(&script(&directory, body)).await;
            match (want, got) {
                (Ok(want), got) => assert_eq!(got, Ok(want), "{body}"),
                (Err(part), got) => {
                    let fault = got.expect_err(body);
                    assert!(fault.detail.contains(part) && !fault.detail.contains("hunter2"), "{body}: {fault}");
                }
            }
        }
    }

    #[tokio::test]
    async fn an_agent_that_hangs_is_ended_with_all_that_it_started() {
        let directory = tempfile::tempdir().expect("directory");
        let mark = directory.path().join("late");
        let call = script(&directory, &format!("(sleep 3; touch {}) & sleep 30", mark.display()));
        let before = std::time::Instant::now();
        let fault = agents(200).off(&call, &Deadline::NONE).await.expect_err("too slow");
        assert!(fault.kind == FaultKind::Unknown && before.elapsed() < Duration::from_secs(3), "{fault}");
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(!mark.exists(), "what it started goes on");
    }

    #[test]
    fn only_a_line_that_states_it_says_off() {
        let says = |said: &str| Ended { code: Some(2), how: String::new(), said: said.to_owned() }.says_off();
        for off in ["Status: OFF", "off", "Chassis Power is off\n", "debug\npower status: off."] {
            assert!(says(off), "{off}");
        }
        for not in [
            "ERROR: timed out waiting for power status: off",
            "usage: status: off",
            "Status: ON",
            "status: off\nstatus: on",
            "plug 7 status: on (feed a)\nStatus: OFF",
            "turn it off",
        ] {
            assert!(!says(not), "{not}");
        }
    }

    #[tokio::test]
    async fn what_must_not_be_run_is_refused() {
        let directory = tempfile::tempdir().expect("directory");
        let mut call = script(&directory, "exit 0");
        let lab = FenceAgents::new(AgentOptions { lab: true, ..AgentOptions::default() }, Arc::new(SystemSecrets::default()));
        assert!(lab.off(&call, &Deadline::NONE).await.expect_err("a lab").detail.contains("lab"));
        call.options.insert("plug".into(), Sensitive::Plain("7\naction=on".into()));
        assert!(agents(1_000).off(&call, &Deadline::NONE).await.expect_err("two lines").detail.contains("`plug`"));
        let blank = SecretRef::Command(vec!["printf".into(), " ".into()]);
        call.options.insert("plug".into(), Sensitive::Secret(blank));
        assert!(agents(1_000).off(&call, &Deadline::NONE).await.expect_err("no plug").detail.contains("`plug` is blank"));
        call.options.insert("plug".into(), Sensitive::Plain("7".into()));
        call.options.insert("option".into(), Sensitive::Plain("on".into()));
        assert!(agents(1_000).off(&call, &Deadline::NONE).await.expect_err("an action").detail.contains("`option`"));
        call.name = "fence_no_such_agent".into();
        assert!(agents(1_000).status(&call).await.expect_err("not there").detail.contains("not installed"));
    }
}
