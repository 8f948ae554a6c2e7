//! Where a BMC is and which of its links may be followed: only those to the BMC itself.

use crate::model::Fault;
use reqwest::Url;

/// A BMC's address, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// Scheme, host and port, and nothing else.
    origin: Url,
    /// A path in front of `/redfish/v1`, without a slash at its end; mostly empty.
    prefix: String,
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Address, Fault> {
        // Not shown whole: a user name and password may have been written into it.
        let refused = |why: &str| Fault::refused(format!("BMC address {why}; write it like `https://10.0.0.7`"));
        let mut origin = Url::parse(text.trim()).map_err(|e| refused(&format!("cannot be read ({e})")))?;
        if !matches!(origin.scheme(), "http" | "https") || origin.host_str().is_none() {
            return Err(refused("has neither `https://` nor `http://` in front"));
        }
        if !origin.username().is_empty() || origin.password().is_some() {
            return Err(refused("holds a user name; that belongs into `bmc.username` and `bmc.password`"));
        }
        if origin.query().is_some() || origin.fragment().is_some() {
            return Err(refused("holds a query"));
        }
        let path = origin.path().trim_end_matches('/');
        let prefix = path.strip_suffix("/redfish/v1").unwrap_or(path).trim_end_matches('/').to_owned();
        origin.set_path("/");
        Ok(Address { origin, prefix })
    }

    /// HTTP without TLS.
    pub(super) fn is_plain(&self) -> bool {
        self.origin.scheme() == "http"
    }

    pub(super) fn host(&self) -> &str {
        self.origin.host_str().unwrap_or_default()
    }

    /// For messages: scheme, host, port and prefix.
    pub(super) fn shown(&self) -> String {
        format!("{}{}", self.origin.as_str().trim_end_matches('/'), self.prefix)
    }

    /// The URL of a path or link that the BMC or the inventory gave. A link to another origin is refused: it would take
    /// our credentials there.
    pub(super) fn url(&self, link: &str) -> Result<Url, Fault> {
        let link = link.trim();
        let elsewhere = || Fault::refused(format!("{}: a link leads to another origin and is not followed", self.shown()));
        if link.contains("://") || link.starts_with("//") {
            let url = self.origin.join(link).map_err(|_| elsewhere())?;
            let same = url.origin() == self.origin.origin() && url.username().is_empty() && url.password().is_none();
            return if same { Ok(url) } else { Err(elsewhere()) };
        }
        if !link.starts_with('/') {
            return Err(Fault::refused(format!("{}: `{link}` is not a path; it must begin with `/redfish/v1`", self.shown())));
        }
        let own = self.prefix.is_empty() || link.strip_prefix(&self.prefix).is_some_and(|rest| rest.starts_with("/redfish"));
        let path = if own { link.to_owned() } else { format!("{}{link}", self.prefix) };
        let url = self.origin.join(&path).map_err(|_| elsewhere())?;
        // A backslash is a slash to a URL parser, and `/\host` another host.
        if url.origin() == self.origin.origin() { Ok(url) } else { Err(elsewhere()) }
    }

    /// The path of a link as messages and caches have it: without the prefix and without a slash at its end.
    pub(super) fn bare(&self, url: &Url) -> String {
        let path = url.path();
        let path = path.strip_prefix(self.prefix.as_str()).unwrap_or(path);
        if path.len() > 1 { path.trim_end_matches('/').to_owned() } else { path.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).expect("address")
    }

    #[test]
    fn an_address_that_could_mislead_is_refused_without_being_shown() {
        for text in ["10.0.0.7", "ftp://a", "https://root:calvin@10.0.0.7", "https://a/?x=1", "", "localhost:8000"] {
            let fault = Address::parse(text).expect_err(text);
            assert!(!fault.detail.contains("calvin"), "{fault}");
        }
    }

    #[test]
    fn only_links_to_the_same_origin_are_followed() {
        let bmc = address("https://10.0.0.7");
        for link in [
            "https://10.0.0.8/redfish/v1",
            "//10.0.0.8/x",
            "http://10.0.0.7/x",
            "https://10.0.0.7:444/x",
            "/\\10.0.0.8/x",
            "https://u@10.0.0.7/",
        ] {
            assert!(bmc.url(link).is_err(), "{link}");
        }
        for link in ["/redfish/v1/Systems/1", "https://10.0.0.7/redfish/v1/Systems/1", "https://10.0.0.7:443/redfish/v1/Systems/1"] {
            assert_eq!(bmc.url(link).expect("url").as_str(), "https://10.0.0.7/redfish/v1/Systems/1", "{link}");
        }
        assert!(bmc.url("Systems/1").is_err());
    }

    #[test]
    fn a_prefix_stands_in_front_of_links_that_do_not_have_it() {
        for text in ["http://h:8000/bmc/17", "http://h:8000/bmc/17/", "http://h:8000/bmc/17/redfish/v1/"] {
            let bmc = address(text);
            for link in ["/redfish/v1/Systems/1", "/bmc/17/redfish/v1/Systems/1"] {
                let url = bmc.url(link).expect("url");
                assert_eq!(url.as_str(), "http://h:8000/bmc/17/redfish/v1/Systems/1", "{text} {link}");
                assert_eq!(bmc.bare(&url), "/redfish/v1/Systems/1");
            }
        }
    }
}
