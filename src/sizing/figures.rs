//! Numbers as people read them.

/// A probability in percent with three digits that say something: `19.1%`, `0.102%`, `4.81e-7%`.
pub(super) fn percent(share: f64) -> String {
    let p = share * 100.0;
    match p {
        _ if p <= 0.0 => "0%".into(),
        _ if p >= 99.95 => "100%".into(),
        _ if p >= 9.995 => format!("{p:.1}%"),
        _ if p >= 0.9995 => format!("{p:.2}%"),
        _ if p >= 0.0001 => format!("{p:.*}%", 2 + digits_before(p)),
        _ => format!("{p:.1e}%"),
    }
}

/// Zeros between the point and the first digit, and one.
fn digits_before(p: f64) -> usize {
    (-p.log10().floor()).clamp(0.0, 12.0) as usize
}

/// What is left of the whole, with three digits of what is lacking: `82.6%`, `96.33%`, `99.898%`.
pub(super) fn percent_of_rest(short: f64) -> String {
    let p = short * 100.0;
    let decimals = match p {
        _ if p <= 0.0 => return "100%".into(),
        _ if p >= 10.0 => 1,
        _ => digits_before(p) + 2,
    };
    if decimals > 12 { "100% but for 1e-12".into() } else { format!("{:.decimals$}%", 100.0 - p) }
}

/// A share of the year as a time: `3.2 days`, `5 min`.
pub(super) fn of_a_year(share: f64) -> String {
    let seconds = share * 365.0 * 86_400.0;
    match seconds {
        _ if seconds <= 0.0 => "0".into(),
        _ if seconds >= 0.9995 * 86_400.0 => format!("{} days", three(seconds / 86_400.0)),
        _ if seconds >= 0.9995 * 3_600.0 => format!("{} h", three(seconds / 3_600.0)),
        _ if seconds >= 0.9995 * 60.0 => format!("{} min", three(seconds / 60.0)),
        _ if seconds >= 0.9995 => format!("{} s", three(seconds)),
        _ => "< 1 s".into(),
    }
}

/// Three digits: `0.0517`, `5.17`, `51.7`, `517`, `51700`.
pub(super) fn three(n: f64) -> String {
    match n.abs() {
        0.0 => "0".into(),
        a if a >= 99.95 => format!("{n:.0}"),
        a if a >= 9.995 => format!("{n:.1}"),
        a if a >= 0.9995 => format!("{n:.2}"),
        a if a >= 1e-6 => format!("{n:.*}", 3 + (-a.log10().floor() as usize) - 1),
        _ => format!("{n:.2e}"),
    }
}

/// Three digits, without zeros that say nothing: `0.05`, `1.4`.
pub(super) fn plain(n: f64) -> String {
    let text = three(n);
    if text.contains('.') && !text.contains('e') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

pub(super) fn count(n: u32, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_the_digits_that_matter() {
        for (p, want) in [(1.0, "100%"), (0.1913, "19.1%"), (0.03668, "3.67%"), (0.00102, "0.102%"), (4.8e-9, "4.8e-7%"), (0.0, "0%")] {
            assert_eq!(percent(p), want);
        }
        for (short, want) in [(0.17448, "82.6%"), (0.03668, "96.33%"), (0.00702, "99.298%"), (0.00102, "99.898%"), (4.8e-5, "99.99520%")] {
            assert_eq!(percent_of_rest(short), want);
        }
        assert_eq!(percent_of_rest(0.0), "100%");
        assert_eq!(of_a_year(0.01), "3.65 days");
        assert_eq!(of_a_year(1e-4), "52.6 min");
        assert_eq!((plain(0.05), plain(1.4), plain(20.0)), ("0.05".into(), "1.4".into(), "20".into()));
        assert_eq!(three(0.0517), "0.0517");
        assert_eq!(three(517.3), "517");
    }
}
