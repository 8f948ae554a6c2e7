//! Hooks, of whatever kind: what they may do in a lab, what is kept of what they say, and who runs them.

use super::secrets::blocking_reveal;
use super::{hook_command, hook_http};
use crate::model::*;
use crate::ports::{Deadline, HookRunner, Secrets};
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct HookOptions {
    /// Machines are simulated: only hooks that say so run, and HTTP goes to loopback only.
    pub lab: bool,
    /// How long a program that was told to end (SIGTERM) may take before it is killed.
    pub grace: Duration,
}

impl Default for HookOptions {
    fn default() -> HookOptions {
        HookOptions { lab: false, grace: Duration::from_secs(5) }
    }
}

/// Runs hooks.
pub struct Hooks {
    options: HookOptions,
    secrets: Arc<dyn Secrets>,
    http: hook_http::Web,
}

impl Hooks {
    pub fn new(options: HookOptions, secrets: Arc<dyn Secrets>) -> Hooks {
        Hooks { http: hook_http::Web::new(), options, secrets }
    }
}

#[async_trait]
impl HookRunner for Hooks {
    async fn run(&self, hook: &Hook, action: &HookAction, context: &HookContext, deadline: &Deadline) -> Result<HookResult, Fault> {
        if self.options.lab && !hook.lab {
            return Ok(HookResult { succeeded: true, how: "not run in a lab".into(), output: String::new(), took: Span::ZERO });
        }
        let job = Job { hook, context, options: &self.options, secrets: &self.secrets, deadline };
        match action {
            HookAction::Run(action) => hook_command::run(&job, action).await,
            HookAction::Http(action) => self.http.run(&job, action).await,
            HookAction::Prompt(_) => Err(job.refused("is a question to a person and nothing that can be run")),
        }
    }
}

/// One run of one hook.
pub(super) struct Job<'a> {
    pub hook: &'a Hook,
    pub context: &'a HookContext,
    pub options: &'a HookOptions,
    pub deadline: &'a Deadline,
    secrets: &'a Arc<dyn Secrets>,
}

impl Job<'_> {
    pub(super) fn refused(&self, why: impl std::fmt::Display) -> Fault {
        Fault::refused(format!("hook `{}`: {why}", self.hook.name))
    }
    pub(super) fn transient(&self, why: impl std::fmt::Display) -> Fault {
        Fault::transient(format!("hook `{}`: {why}", self.hook.name))
    }
    pub(super) fn unknown(&self, why: impl std::fmt::Display) -> Fault {
        Fault::unknown(format!("hook `{}`: {why}", self.hook.name))
    }

    /// Nothing of it begins once the lease has ended.
    pub(super) fn in_time(&self) -> Result<(), Fault> {
        self.deadline.test(format_args!("hook `{}`", self.hook.name))
    }

    /// The text behind `value`; a secret is remembered in `mask`, so that it is not shown.
    pub(super) async fn text(&self, value: &Sensitive, mask: &mut Mask) -> Result<SecretString, Fault> {
        match value {
            Sensitive::Plain(text) => Ok(self.context.fill(text).into()),
            Sensitive::Secret(secret) => {
                let revealed = blocking_reveal(self.secrets, secret).await.map_err(|f| self.refused(f.detail))?;
                mask.add(&revealed);
                Ok(revealed)
            }
        }
    }

    pub(super) async fn texts(&self, values: &BTreeMap<String, Sensitive>, mask: &mut Mask) -> Result<Vec<(String, SecretString)>, Fault> {
        let mut texts = Vec::with_capacity(values.len());
        for (name, value) in values {
            texts.push((name.clone(), self.text(value, mask).await?));
        }
        Ok(texts)
    }
}

/// Secrets that a hook was given and that must not come back in its output.
#[derive(Default)]
pub(super) struct Mask(Vec<SecretString>);

impl Mask {
    pub(super) fn add(&mut self, secret: &SecretString) {
        self.0.push(secret.clone());
        // A secret of several lines may come back line by line.
        let lines = secret.expose_secret().lines().map(str::trim).filter(|l| l.len() >= 8);
        self.0.extend(lines.map(SecretString::from).collect::<Vec<_>>());
    }

    fn longest(&self) -> usize {
        self.0.iter().map(|s| s.expose_secret().len()).max().unwrap_or(0)
    }

    /// `raw` from `from` on, every byte that belongs to any secret covered. All of `raw` is searched, as a secret may
    /// begin before `from`.
    fn cover(&self, raw: &[u8], from: usize) -> String {
        let mut covered = vec![false; raw.len()];
        for secret in self.0.iter().map(|s| s.expose_secret().as_bytes()).filter(|s| !s.is_empty()) {
            for at in (0..raw.len()).filter(|at| raw[*at..].starts_with(secret)) {
                covered[at..at + secret.len()].fill(true);
            }
        }
        let mut shown = Vec::with_capacity(raw.len());
        let mut before = false;
        for (byte, hidden) in raw.iter().zip(covered).skip(from) {
            match (hidden, before) {
                (true, true) => {}
                (true, false) => shown.extend(b"***"),
                (false, _) => shown.push(*byte),
            }
            before = hidden;
        }
        String::from_utf8_lossy(&shown).into_owned()
    }
}

/// The end of what a hook said.
pub(super) struct Tail {
    kept: VecDeque<u8>,
    /// Bytes of text that are kept.
    limit: usize,
    most: usize,
    /// As long as the longest secret: where the beginning was dropped, that much of what follows may be the end of one.
    margin: usize,
    dropped: bool,
}

const CUT: &str = "... (the beginning is left out)\n";

impl Tail {
    pub(super) fn new(mask: &Mask) -> Tail {
        Tail::up_to(mask, OUTPUT_BYTES_MAX)
    }

    pub(super) fn up_to(mask: &Mask, limit: usize) -> Tail {
        Tail { kept: VecDeque::new(), limit, most: limit + mask.longest(), margin: mask.longest(), dropped: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.kept.extend(bytes);
        if self.kept.len() > self.most {
            self.kept.drain(..self.kept.len() - self.most);
            self.dropped = true;
        }
    }

    /// At most `limit` bytes of text, secrets masked, cut at the beginning.
    pub(super) fn text(mut self, mask: &Mask) -> String {
        let from = if self.dropped { self.margin } else { 0 };
        let text = mask.cover(self.kept.make_contiguous(), from);
        if !self.dropped && text.len() <= self.limit {
            return text;
        }
        let room = self.limit - CUT.len();
        let mut from = text.len().saturating_sub(room);
        while !text.is_char_boundary(from) {
            from += 1;
        }
        format!("{CUT}{}", &text[from..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(secrets: &[&str]) -> Mask {
        let mut mask = Mask::default();
        secrets.iter().for_each(|s| mask.add(&SecretString::from(*s)));
        mask
    }

    #[test]
    fn the_end_is_kept_and_the_cut_is_marked() {
        let none = mask(&[]);
        let mut tail = Tail::new(&none);
        tail.push(b"short");
        assert_eq!(tail.text(&none), "short");
        let mut tail = Tail::new(&none);
        for n in 0..10_000 {
            tail.push(format!("line {n} \u{e9}\n").as_bytes());
        }
        let text = tail.text(&none);
        assert!(text.starts_with(CUT) && text.ends_with("line 9999 \u{e9}\n") && text.len() <= OUTPUT_BYTES_MAX);
    }

    #[test]
    fn no_part_of_a_secret_is_shown_wherever_the_cut_falls() {
        let secret = "s3cr3t-s3cr3t-s3cr3t";
        let mask = mask(&[secret, "s3cr3t"]);
        for filler in 0..60 {
            let mut tail = Tail::new(&mask);
            for _ in 0..500 {
                tail.push(secret.as_bytes());
                tail.push(" ".as_bytes());
            }
            tail.push("x".repeat(filler).as_bytes());
            let text = tail.text(&mask);
            assert!(!text.contains("3cr") && text.contains("***") && text.len() <= OUTPUT_BYTES_MAX, "{filler}: {}", &text[..80]);
        }
        let lines = self::mask(&["-----BEGIN KEY-----\nabcdefghijkl\n-----END KEY-----"]);
        assert_eq!(lines.cover(b"x abcdefghijkl", 0), "x ***");
        assert_eq!(self::mask(&["aXa"]).cover(b"-aXaXa-", 0), "-***-");
    }
}
