//! What ends programs when coldswap itself is killed, and nothing in it can do so any more.
//!
//! One small shell for the whole process reads from a pipe whose other end only coldswap has: the kernel closes that
//! however coldswap ends (`kill -9` included), the shell reads its end, kills every process group that it was told of
//! and not told to forget, and ends. PR_SET_PDEATHSIG would end a program when the *thread* that started it ends, and
//! nothing of what the program started.

use rustix::process::Pid;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

const SCRIPT: &str = r#"groups=
while read -r what group; do
  case $what in
    +) groups="$groups $group" ;;
    -) kept=
       for g in $groups; do [ "$g" = "$group" ] || kept="$kept $g"; done
       groups=$kept ;;
  esac
done
for g in $groups; do kill -s KILL -- "-$g"; done"#;

/// The pipe's own end. It is closed in every program that is started (CLOEXEC).
static PIPE: Mutex<Option<ChildStdin>> = Mutex::new(None);

/// From here on the group ends with coldswap.
pub(super) fn watch(group: Pid) {
    tell('+', group);
}

/// It has ended, or what it left behind is meant to stay.
pub(super) fn forget(group: Pid) {
    tell('-', group);
}

fn tell(what: char, group: Pid) {
    let line = format!("{what} {}\n", group.as_raw_nonzero());
    let mut pipe = PIPE.lock().unwrap_or_else(PoisonError::into_inner);
    // One that was killed is replaced; what the one before was watching is lost to it.
    for _ in 0..2 {
        if pipe.is_none() && what == '+' {
            *pipe = start();
        }
        match pipe.as_mut().map(|p| p.write_all(line.as_bytes())) {
            Some(Err(_)) => *pipe = None,
            _ => return,
        }
    }
}

/// In a group of its own: what is sent to coldswap's, it must survive.
fn start() -> Option<ChildStdin> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "coldswap-watchdog"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    match command.spawn() {
        Ok(mut child) => child.stdin.take(),
        Err(error) => {
            tracing::warn!(%error, "no watchdog: hooks and fence agents would outlive a coldswap that is killed");
            None
        }
    }
}
