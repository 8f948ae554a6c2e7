//! The files that a file names. Reading them is an effect, so it is handed in.

/// Reads files for the checks: hook scripts, the inventory of a lab.
pub trait Files {
    /// The bytes of the file at `path`, which is relative to the working directory or absolute. The error is a
    /// fragment such as `no such file`.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;
}

/// The directory that a file stands in: where its relative paths begin.
pub fn directory(file: &str) -> &str {
    match file.rfind('/') {
        Some(0) => "/",
        Some(n) => &file[..n],
        None => ".",
    }
}

/// `path` as seen from the working directory, when it is written in `file`.
pub fn beside(file: &str, path: &str) -> String {
    let directory = directory(file);
    let short = path.strip_prefix("./").unwrap_or(path);
    match directory {
        _ if path.starts_with('/') => path.to_owned(),
        "." => short.to_owned(),
        "/" => format!("/{short}"),
        _ => format!("{directory}/{short}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_file_they_stand_in() {
        for (file, path, want) in [
            ("runbooks/a.yaml", "./hooks/drain.sh", "runbooks/hooks/drain.sh"),
            ("runbooks/a.yaml", "../x", "runbooks/../x"),
            ("a.yaml", "./x", "x"),
            ("a.yaml", "/etc/x", "/etc/x"),
            ("/a.yaml", "x", "/x"),
        ] {
            assert_eq!(beside(file, path), want);
        }
        assert_eq!(directory("a.yaml"), ".");
    }
}
