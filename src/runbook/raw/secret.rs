//! Secrets: never written down, only where they are kept.

use crate::model::SecretRef;
use crate::runbook::shape::*;

/// Text in the open (a template, in a runbook) or where to find it.
#[derive(Clone, Debug)]
pub enum RawSensitive {
    Plain(At<String>),
    Secret(SecretRef),
}

/// `{secret: {env: NAME}}`, `{secret: {file: PATH}}` or `{secret: {command: [pass, show, NAME]}}`.
pub fn secret() -> Record<SecretRef> {
    record("secret", |f| f.required("secret", "where the secret is kept", record("place of a secret", place)))
}

fn place(f: &mut Fields<'_>) -> Option<SecretRef> {
    f.exactly_one(&["env", "file", "command"]);
    let env = f.optional("env", "an environment variable", text("the name of an environment variable"));
    let file = f.optional("file", "a file, read whole, without its last line end", text("a path"));
    let command = list_of("an argument vector", text("an argument")).not_empty();
    let command = f.optional("command", "a program that prints it: an argument vector", command);
    let command = command.map(|argv| SecretRef::Command(argv.into_iter().map(|a| a.value).collect()));
    env.map(|e| SecretRef::Env(e.value)).or(file.map(|p| SecretRef::File(p.value))).or(command)
}

/// Text, or a secret.
pub fn sensitive() -> Forms<RawSensitive> {
    Forms::new("text or `{secret: ...}`").scalar(text("text"), RawSensitive::Plain).map(secret(), RawSensitive::Secret)
}
