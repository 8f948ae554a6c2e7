//! Is it text at all?

use crate::diagnostic::{Diagnostic, Diagnostics, Source, codes};

/// Told of one file: more than these add nothing.
const CONTROLS_TOLD: usize = 5;

/// The text of a file, or why it is none.
pub(super) fn text(source: &Source) -> Result<&str, Diagnostics> {
    let bytes = source.text.as_slice();
    let wrong = |message: String, at: usize, length: usize, hint: &str| {
        Diagnostic::error(codes::ENCODING, message).at(&source.name, at..at + length).hint(hint)
    };
    let save = "save the file as UTF-8 without byte order mark";
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || looks_like_utf16(bytes) {
        return Err(Diagnostics(vec![wrong("the file is UTF-16, not UTF-8".to_owned(), 0, 2, save)]));
    }
    if bytes.starts_with(&[0xef, 0xbb, 0xbf]) {
        return Err(Diagnostics(vec![wrong("the file begins with a byte order mark".to_owned(), 0, 3, save)]));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let at = e.valid_up_to();
        Diagnostics(vec![wrong(format!("byte {at} (0x{:02x}) is not UTF-8", bytes[at]), at, 1, save)])
    })?;
    let controls: Vec<Diagnostic> = text
        .char_indices()
        .filter(|(_, c)| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}'))
        .take(CONTROLS_TOLD)
        .map(|(at, c)| wrong(format!("control character U+{:04X} in the text", u32::from(c)), at, c.len_utf8(), "remove it"))
        .collect();
    if controls.is_empty() { Ok(text) } else { Err(Diagnostics(controls)) }
}

/// ASCII in UTF-16 without a byte order mark has a NUL in every other place.
fn looks_like_utf16(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(64) & !1];
    let nuls = |odd: usize| head.iter().skip(odd).step_by(2).filter(|b| **b == 0).count();
    head.len() >= 4 && (nuls(0) == head.len() / 2 || nuls(1) == head.len() / 2)
}
