//! "Did you mean": the closest of what would have been right.

/// The candidate that `name` was probably meant to be, or nothing where none is close.
///
/// Close is an optimal string alignment distance of at most a third of the longer text (`selekt`, `select`), the
/// same word in other case or with other separators (`soft-off`, `softOff`), or a word that the other begins with.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(name);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let other = fold(candidate);
        if other.is_empty() || candidate == name {
            continue;
        }
        let longer = folded.chars().count().max(other.chars().count());
        let mut distance = strsim::osa_distance(&folded, &other);
        let prefix = folded.len() >= 3 && other.starts_with(&folded) || other.len() >= 3 && folded.starts_with(&other);
        if prefix {
            distance = distance.min(longer / 3);
        }
        if distance <= longer.div_ceil(3).min(4) && distance < longer && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn fold(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_understood() {
        let keys = ["nodes", "select", "destinations", "priority", "left_out"];
        assert_eq!(did_you_mean("selekt", keys), Some("select"));
        assert_eq!(did_you_mean("left-out", keys), Some("left_out"));
        assert_eq!(did_you_mean("leftOut", keys), Some("left_out"));
        assert_eq!(did_you_mean("node", keys), Some("nodes"));
        assert_eq!(did_you_mean("destination", keys), Some("destinations"));
        assert_eq!(did_you_mean("prioirty", keys), Some("priority"));
    }

    #[test]
    fn a_far_fetched_guess_is_not_made() {
        let keys = ["nodes", "select"];
        for name in ["", "x", "pools", "fence", "voluptuous"] {
            assert_eq!(did_you_mean(name, keys), None, "{name}");
        }
    }
}
