//! Where a cloud is found, and what an entry may say.

use super::by;
use coldswap::adapter::openstack::{Auth, Cloud, Surroundings, find};
use coldswap::model::TlsTrust;
use std::path::Path;

fn put(at: &Path, text: &str) {
    std::fs::create_dir_all(at.parent().expect("a folder")).expect("a folder");
    std::fs::write(at, text).expect("a file");
}

/// Files within a folder that stands for home, the working directory and `/etc`.
fn around(root: &Path, vars: &[(&str, &str)]) -> Surroundings {
    let home = root.join("home").display().to_string();
    let vars: Vec<(&str, &str)> = vars.iter().copied().chain([("HOME", home.as_str())]).collect();
    Surroundings { directory: root.join("here"), etc: root.join("etc"), ..by(&vars) }
}

fn of(endpoint: &str) -> String {
    format!("clouds: {{lab: {{auth_type: none, auth: {{endpoint: 'http://{endpoint}'}}}}}}\n")
}

fn host(cloud: &Cloud) -> String {
    cloud.endpoint.as_ref().and_then(|u| u.host_str()).unwrap_or_default().to_owned()
}

fn told(found: Result<Cloud, coldswap::model::Fault>) -> String {
    found.err().expect("refused").detail
}

#[test]
fn the_first_file_wins_and_a_variable_names_another() {
    let root = tempfile::tempdir().expect("a folder");
    let root = root.path();
    let at = |vars: &[(&str, &str)]| host(&find(None, &around(root, vars)).unwrap_or_else(|e| panic!("{e}")));
    put(&root.join("etc/openstack/clouds.yaml"), &of("etc"));
    assert_eq!(at(&[]), "etc");
    put(&root.join("etc/xdg/openstack/clouds.json"), r#"{"clouds": {"lab": {"auth_type": "none", "auth": {"endpoint": "http://site"}}}}"#);
    assert_eq!(at(&[]), "site");
    put(&root.join("home/.config/openstack/clouds.yml"), &of("home"));
    assert_eq!(at(&[]), "home");
    let config = root.join("config").display().to_string();
    put(&root.join("config/openstack/clouds.yaml"), &of("config"));
    assert_eq!(at(&[("XDG_CONFIG_HOME", &config)]), "config");
    put(&root.join("here/clouds.yaml"), &of("here"));
    assert_eq!(at(&[("XDG_CONFIG_HOME", &config)]), "here");
    put(&root.join("elsewhere.yaml"), &of("elsewhere"));
    let elsewhere = root.join("elsewhere.yaml").display().to_string();
    assert_eq!(at(&[("OS_CLIENT_CONFIG_FILE", &elsewhere)]), "elsewhere");
    let gone = told(find(None, &around(root, &[("OS_CLIENT_CONFIG_FILE", "/nowhere/clouds.yaml")])));
    assert!(gone.contains("OS_CLIENT_CONFIG_FILE") && gone.contains("/nowhere/clouds.yaml"), "{gone}");
}

const TWO: &str = "clouds:
  lab: {auth_type: none, auth: {endpoint: 'http://lab'}}
  prod: {auth_type: http_basic, auth: {endpoint: 'http://prod', username: ops}}
";

#[test]
fn the_configuration_names_the_cloud_then_os_cloud_then_the_environment_then_there_is_only_one() {
    let root = tempfile::tempdir().expect("a folder");
    let root = root.path();
    put(&root.join("here/clouds.yaml"), TWO);
    put(&root.join("here/secure.yaml"), "clouds: {prod: {auth: {password: 's3cret'}}}\n");
    let envvars = [("OS_AUTH_TYPE", "none"), ("OS_ENDPOINT", "http://vars")];
    let and_cloud = [envvars[0], envvars[1], ("OS_CLOUD", "prod")];
    let name = |named: Option<&str>, vars: &[(&str, &str)]| {
        let cloud = find(named, &around(root, vars)).unwrap_or_else(|e| panic!("{e}"));
        (host(&cloud), cloud.name)
    };
    assert_eq!(name(Some("lab"), &and_cloud), ("lab".into(), "lab".into()));
    assert_eq!(name(None, &and_cloud), ("prod".into(), "prod".into()));
    assert_eq!(name(None, &envvars), ("vars".into(), "envvars".into()));
    let prod = find(None, &around(root, &[("OS_CLOUD", "prod")])).unwrap_or_else(|e| panic!("{e}"));
    assert!(matches!(prod.auth, Auth::Basic { .. }), "its password is in secure.yaml");
    let several = told(find(None, &around(root, &[("OS_REGION_NAME", "one")])));
    assert!(several.contains("lab, prod") && several.contains("OS_CLOUD"), "{several}");
    let misspelt = told(find(Some("prud"), &around(root, &[])));
    assert!(misspelt.contains("did you mean `prod`?") && misspelt.contains("clouds.yaml"), "{misspelt}");
    let nothing = told(find(None, &by(&[])));
    assert!(nothing.contains("no clouds.yaml") && nothing.contains("OS_CLIENT_CONFIG_FILE"), "{nothing}");
}

fn one(entry: &str) -> Result<Cloud, coldswap::model::Fault> {
    let root = tempfile::tempdir().expect("a folder");
    put(&root.path().join("here/clouds.yaml"), &format!("clouds:\n  lab: {entry}\n"));
    find(None, &around(root.path(), &[]))
}

#[test]
fn what_an_entry_lacks_or_has_too_much_is_told_by_its_key_and_without_its_values() {
    let endpoint = "endpoint: 'http://h'";
    for (entry, words) in [
        (format!("{{auth_type: v3kerberos, auth: {{{endpoint}}}}}"), &["v3kerberos", "v3applicationcredential"][..]),
        ("{auth_type: none}".to_owned(), &["`endpoint` is missing"]),
        (format!("{{auth_type: http_basic, auth: {{{endpoint}, username: u}}}}"), &["`password` is missing"]),
        ("{auth: {username: u, password: s3cret}}".to_owned(), &["`user_domain_name`"]),
        ("{auth: {username: u, user_domain_id: d, password: s3cret, project_id: p}}".to_owned(), &["`auth_url` is missing"]),
        ("{auth: {auth_url: 'http://k', user_id: u, password: s3cret}}".to_owned(), &["project_name", "system_scope"]),
        ("{auth: {auth_url: 'http://k', user_id: u, password: [s3cret], project_id: p}}".to_owned(), &["`password` must be text"]),
        ("{auth_type: none, auth: {endpoint: 'http://s3cret@h'}}".to_owned(), &["`endpoint`", "do not belong"]),
        ("{auth_type: none, auth: {endpoint: 'h:s3cret'}}".to_owned(), &["`endpoint`"]),
        ("{profile: rackspace}".to_owned(), &["`profile` is not supported"]),
        (format!("{{auth_type: none, verify: s3cret, auth: {{{endpoint}}}}}"), &["`verify`"]),
        (format!("{{auth_type: none, auth: {{{endpoint}}}, regions: [a, b]}}"), &["a, b", "OS_REGION_NAME"]),
        ("{auth: {password: s3cret, x: [}".to_owned(), &["not YAML at line 2"]),
    ] {
        let told = told(one(&entry));
        assert!(words.iter().all(|w| told.contains(w)) && told.contains("clouds.yaml"), "{entry}: {told}");
        assert!(!told.contains("s3cret"), "{told}");
    }
}

#[test]
fn tls_and_keys_are_read_as_openstacksdk_reads_them() {
    let cloud =
        |more: &str| one(&format!("{{auth_type: none, auth: {{endpoint: 'https://h/v1'}}, {more}}}")).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(cloud("region_name: one").trust, TlsTrust::System);
    assert_eq!(cloud("cacert: /etc/ca.pem").trust, TlsTrust::Ca("/etc/ca.pem".into()));
    assert_eq!(cloud("cacert: /etc/ca.pem, verify: false").trust, TlsTrust::Unverified);
    assert_eq!(cloud("insecure: 'True'").trust, TlsTrust::Unverified);
    assert_eq!(cloud("cert: c.pem, key: k.pem").identity, Some(("c.pem".into(), "k.pem".into())));
    assert_eq!(cloud("interface: internal, region-name: two").interfaces, ["internal"]);
    assert_eq!(cloud("region-name: two").region.as_deref(), Some("two"));
    assert_eq!(cloud("regions: [{name: three}]").region.as_deref(), Some("three"));
    assert_eq!(cloud("baremetal_api_version: '1'").api_version, None, "a major version caps nothing");
}
