mod language;
mod tidy;
