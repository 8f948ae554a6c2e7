//! Every code of the language, with what it means and what to do.
//!
//! `P0..` a plan cannot be made, or not a safe one;
//! `R0..` the file cannot be read or is not shaped as its kind wants; `R1..` what a runbook says makes no sense;
//! `R2..` it makes sense and does not execute yet; `R3..` inventories; `R4..` configurations, labs and drills.

/// One code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    pub code: &'static str,
    pub title: &'static str,
    pub cause: &'static str,
    pub remedy: &'static str,
}

/// The entry of that code.
pub fn explain(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|c| c.code.eq_ignore_ascii_case(code))
}

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal, $cause:literal, $remedy:literal;)*) => {
        $(#[doc = $title] pub const $name: &str = $code;)*
        /// In the order of the codes.
        pub const CODES: &[Code] = &[$(Code { code: $code, title: $title, cause: $cause, remedy: $remedy }),*];
    };
}

codes! {
    NO_SUCH_NODE = "P001", "unknown node",
        "`sources.nodes`, `--only`, `--exclude` or `explain` names a node that the inventory does not have: `web-9` where there are `web-1` to `web-8`",
        "correct the name; `coldswap inventory list` shows all, and a node may be named by its uuid as well";
    NO_SUCH_DESTINATION = "P002", "unknown destination",
        "`sources.destinations` or `--destination` gives a source a destination that the inventory does not have: `destinations: {web-1: spar-1}`",
        "correct the name, or leave the destination out and let the pools find one";
    CANNOT_SWITCH_OVER = "P003", "a source that must be switched over cannot be",
        "a node that is listed by name finds no spare, or is in no state for it: web-1 is in maintenance, or no spare is identical",
        "`coldswap explain` tells, spare by spare, what is in the way; `sources.left_out: allow` goes on without it";
    EXPRESSION_FAILED = "P004", "an expression fails for a node",
        "what could not be known from the file alone: `spare.labels.tier | int` where a spare has `tier: gold`",
        "mend the label in the inventory, or make the expression bear it, for example with `| default(9)`";
    NOT_A_SOURCE = "P005", "a destination for a node that is no source",
        "`sources.destinations` has `web-7: spare-1`, and the sources do not select web-7",
        "add the node to `sources.nodes`, or remove its destination";
    NOT_PROVEN = "P006", "the assignment may not be the best",
        "pools with `keep` that overlap, or several limits under `match.spread`, over so many nodes that not all possibilities were looked at",
        "every rule is kept all the same; use fewer such limits, or plan fewer sources at once with `--only`";
    NOT_SELECTED = "P007", "`--only` names a node that is no source",
        "`--only` chooses among the sources of the runbook: `--only web-7` where `sources` selects `web-1` and `web-2`",
        "add the node to `sources.nodes`, or leave it out of `--only`";
    NOTHING_TO_DO = "P020", "no node is to be switched over",
        "`sources` selects none: `select: \"node.labels.rack == 'r9'\"` where no node stands in r9",
        "`coldswap inventory list` shows the nodes and their labels";
    LEFT_OUT_LATE = "P021", "a source cannot be switched over as it is",
        "it has a spare, but what must be done to it has no way: a burned-in connector that no hook zones, a BMC that cannot boot from iSCSI",
        "do what the message names; `sources.left_out: allow` goes on without it";
    HOOK_TEMPLATE = "P022", "a template of a hook fails for a switchover",
        "what could not be known from the file alone: `{{ source.labels.rack }}` where the source has no such label",
        "set the label in the inventory, or write `| default('')` into the template";
    UNSAFE_PLAN = "P023", "the plan would break a safety rule",
        "walked over the inventory as it is, a step would not come true or two machines would have one volume: a volume that a third node has too",
        "look at the node with `coldswap inventory show`; what is recorded or what its BMC says contradicts the plan";
    STORM = "P024", "more nodes than `limits.refuse_above` allows",
        "so many at once are more often a broken network or a wrong `select` than broken machines: `refuse_above: 20%` and a third of the fleet is selected",
        "look at the network and at `sources` first; if it is meant, `--allow-storm`";
    NOTICE_TEMPLATE = "P025", "a template of `notify` fails",
        "it speaks of something that is not known when the plan is made: only `event` and `run` are filled in later",
        "use `vars`, `event` and `run` there";
    WINDOWS_OVER = "P026", "no window opens any more",
        "every window of the runbook is over, or its recurrence does not come within two years: nothing could start, and the run would be parked at once",
        "correct `windows`, or make the plan when one is near";
    RECORDS_IN_IRONIC = "P027", "the records are kept in Ironic",
        "the configuration has `inventory: {kind: ironic}`, and the command changes records by hand: `inventory import|set|discover|refresh|release|remove`, `failback --keep`",
        "change them with Ironic's own client; `inventory list|show|export` read them, and plans are carried out with them";
    SYNTAX = "R001", "the file is not YAML",
        "the text breaks the rules of YAML at this place: a bracket or quote that is not closed, a wrong indentation, a `:` too many",
        "mend the place; text that holds `: `, ` #` or begins with one of `@ % & * ! | > [ ] { }` belongs in quotes";
    DUPLICATE_KEY = "R002", "a key is written twice",
        "a map holds one key two times, and YAML does not say which counts",
        "keep one of the two; both lines are named";
    UNKNOWN_KEY = "R003", "unknown key",
        "the key is not part of this map; nothing is ever ignored, because a misspelt limit that is ignored is no limit",
        "correct the spelling or remove the key; the schema of the kind lists all keys";
    MISSING_KEY = "R004", "a key is missing",
        "the map cannot be understood without this key",
        "add it";
    WRONG_TYPE = "R005", "a value of the wrong type",
        "a list stands where a map is wanted, a number where a duration is wanted, and the like",
        "write the kind of value that the message names";
    UNKNOWN_WORD = "R006", "not one of the words that are allowed here",
        "the value must be one of a fixed list of words",
        "choose one of the words in the message";
    BAD_QUANTITY = "R007", "not a duration, size, rate or share",
        "quantities carry their unit: `90s 5m 2h 14d`, `512GiB`, `1/s`, `10%`; whole numbers only, without a space",
        "write number and unit together";
    EMPTY_FILE = "R008", "the file holds nothing",
        "the file is empty or holds comments only",
        "begin with `apiVersion: coldswap/v1` and `kind:`; `runbooks/` and `examples/` hold whole ones";
    TOO_LARGE = "R009", "the file is too large",
        "a runbook, configuration, lab or drill is limited to 4 MiB, an inventory to 64 MiB, and both to a number of values",
        "split the file; keep large inventories in the store";
    ENCODING = "R010", "the file is not plain UTF-8 text",
        "the file is UTF-16, begins with a byte order mark, or holds bytes that are no UTF-8 or control characters such as NUL",
        "save it as UTF-8 without byte order mark";
    ALIAS = "R011", "an alias that cannot be followed",
        "an alias `*name` has no anchor before it, stands inside its own anchor, or all of them together unfold to too much",
        "write the values out";
    TOO_DEEP = "R012", "nested too deeply",
        "lists and maps may stand inside each other 64 deep",
        "the file is most likely damaged or made to do harm; write it anew";
    SEVERAL_DOCUMENTS = "R013", "several documents in one file",
        "a line `---` begins a second document; one file is one document",
        "split the file";
    TAG = "R014", "a YAML tag",
        "tags such as `!!str` or `!vault` change what a value is; the language has none",
        "remove the tag; quote the value if it is meant as text";
    BAD_KEY = "R015", "a key that is not text",
        "a list, a map or nothing at all stands where the name of a key belongs",
        "write a word as key";
    UNQUOTED_TEMPLATE = "R016", "a template without quotes",
        "YAML reads an unquoted `{{` as the beginning of two maps, not as text",
        "put the whole value in double quotes: \"{{ source.name }}\"";
    API_VERSION = "R017", "`apiVersion` is missing or not known",
        "every file says which version of the language it is written in",
        "write `apiVersion: coldswap/v1`";
    KIND = "R018", "`kind` is missing or not the one that is wanted",
        "every file says what it is: Runbook, Inventory, Lab, Drill or Config",
        "write the kind, or hand the file to the command that it is for";
    TAB = "R019", "a tab in the indentation",
        "YAML does not allow tabs there",
        "indent with blanks";
    MERGE_KEY = "R020", "a merge key `<<`",
        "merge keys are no part of YAML 1.2, and what they give cannot be seen at the place where it counts",
        "write the keys out; in an inventory, `defaults` does this";
    OUT_OF_RANGE = "R021", "a number out of its range",
        "the number is too small or too large to make sense here",
        "choose one within the bounds that the message names";
    TOO_MANY = "R022", "more errors than are told",
        "the file has so many errors that the rest was left out",
        "mend those that are told and look again";

    EXPRESSION = "R101", "an expression that cannot be read",
        "an expression has a syntax error or speaks of a name, attribute or filter that is not there",
        "the caret shows where; names depend on the place: `node` in sources, `spare` and `source` in pools and match, `source` and `destination` in hooks";
    TEMPLATE = "R102", "a template that cannot be read",
        "a `{{ }}` has a syntax error or speaks of a name or attribute that is not there",
        "the caret shows where; hooks know `source`, `destination`, `vars` and the late names `run.id`, `switchover.id`, `step`, `attempt`";
    UNKNOWN_VARIABLE = "R103", "a variable that the runbook does not have",
        "`--var` or `--vars` sets a name that is not under `vars`; it would change nothing",
        "correct the name, or add it to `vars` with a default";
    VARIABLE_TYPE = "R104", "a variable of another type than its default",
        "the value given by `--var` or `--vars` is of another type than the default in the runbook",
        "give a value of the default's type";
    UNKNOWN_FACT = "R105", "an unknown fact",
        "matching can only compare facts that a BMC or an inventory may give",
        "choose one of the facts; `coldswap explain --rules` lists them";
    DUPLICATE_NAME = "R106", "a name is used twice",
        "pools, hooks and rules are called by name in plans, journals and commands",
        "rename one of the two";
    NO_DESTINATIONS = "R107", "there is nowhere to go",
        "the runbook has neither pools nor pinned destinations",
        "add a pool under `pools`, or pairs under `sources.destinations`";
    NOTHING_IDENTICAL = "R108", "nothing would have to be identical",
        "`identical` is empty and nothing is required: any machine at all would do",
        "use `base: builtin`, or name what must match";
    ONE_OF = "R109", "exactly one of several keys is wanted",
        "the map offers a choice, and none or more than one was taken",
        "keep one";
    SCRIPT = "R110", "a script that cannot be read",
        "the program of a hook is given as a path and there is no file that can be read; its digest is part of the plan",
        "correct the path: it is relative to the runbook; a bare name such as `curl` is looked up in PATH when it runs";
    RETRY_NEVER = "R111", "a hook that must not run twice is to be tried again",
        "`retries` or `until` start a hook again, `rerun: never` forbids it",
        "remove one of the two";
    ROLL_BACK_TOO_LATE = "R112", "`roll_back` after the point of no return",
        "post-boot hooks run after the destination was started; from there nothing goes back by itself, as two machines could write to one volume",
        "use `stop` or `continue`; the way home is `coldswap failback`";
    NO_SOURCES = "R113", "no node is to be switched over",
        "`sources` names no nodes and selects none",
        "add `nodes` or `select`";
    PAIRS = "R114", "pinned pairs that contradict each other",
        "a destination is pinned twice or to itself, or a pair's source is not among the sources",
        "correct the pairs under `sources.destinations`";
    NEVER_OFF = "R115", "nothing may switch the source off",
        "`soft_off: 0s` does not ask the operating system and `hard_off: never` forbids the rest",
        "allow one of the two";
    FACT_RULE = "R116", "a rule that does not fit its fact",
        "numbers are compared by `at_least` and `at_most`, texts by `equal` and `matches`, traits by `superset_of`",
        "choose a test that fits, or another fact";
    CONTRADICTION = "R117", "two settings that contradict each other",
        "one of the two settings would have no effect",
        "remove one";
    UNSEEN_SCRIPT = "R118", "a script whose path is known only later",
        "the path of the program is a template, so that the file cannot be looked at and no digest goes into the plan",
        "write the path out, and hand what differs over as an argument";
    TIME_RANGE = "R119", "a window that is none",
        "a window closes before it opens, or its times or recurrence cannot be read",
        "write `opens` and `closes` as 2026-12-01T22:00, or `cron` and `for`";
    FENCE_AGENT = "R120", "a fence agent that would not understand",
        "the agent's own metadata, as it is installed here, does not have the option, or has one that it cannot do without",
        "correct the option; `AGENT -o metadata` and its manual list them all";
    HOOK_ADDRESS = "R121", "an address that a hook or a notification cannot ask",
        "requests go over https or http: `url: file:///etc/passwd`, `url: chat.example/hook`",
        "write it like https://chat.example/hook; a secret one as `url: {secret: {env: CHAT_URL}}`";
    HOOK_VARIABLE = "R122", "an environment variable that a hook cannot be given",
        "a name such as `A=B` would set another variable, and `COLDSWAP_RUN`, `_SWITCHOVER`, `_STEP` and `_ATTEMPT` are what a hook tells its runs apart by",
        "choose a name of letters, digits and `_` that does not begin with COLDSWAP_";

    NOT_SUPPORTED = "R201", "not supported yet",
        "the file is right, and this version of coldswap cannot do what it asks; it is refused because ignoring it would be dangerous",
        "remove it, or wait for a version that can";

    PLAIN_SECRET = "R301", "a password in the open",
        "secrets are never written in files that are stored, shown and sent around: a text under `password`, `token`, `Authorization` and the like, or `user:password@` in an address",
        "write {secret: {env: NAME}}, {secret: {file: PATH}} or {secret: {command: [pass, show, NAME]}}";
    SAME_NODE = "R302", "two nodes that are one",
        "two records have one name, one uuid, or one BMC address and system",
        "remove one; two systems behind one BMC are told apart by `system`";
    BAD_ADDRESS = "R303", "an address that cannot be used",
        "a BMC is reached by https (or http in a lab) at a host and port; name and password do not belong into the address",
        "write it like https://10.0.0.7 or https://bmc-7.example:8443";
    SAME_CONNECTOR = "R304", "one connector on two nodes",
        "an initiator name, WWN or MAC belongs to one node at a time; two nodes with one could both write to its volumes",
        "remove it from one of them";
    SAME_VOLUME = "R305", "one volume on two nodes",
        "the volume is attached to two nodes and not marked `shareable`; planning refuses both",
        "remove one of the two, or mark both `shareable: true` where a cluster file system lives on it";
    BAD_NAME = "R306", "a name that cannot be used",
        "a node's name is made of letters, digits and `. _ ~ -`, as in Ironic",
        "rename it";
    BAD_IDENTITY = "R307", "an identity that identifies nothing",
        "all zeros, all f, `To be filled by O.E.M.` and the like are reported by many machines at once",
        "remove it, or write the machine's own";
    BAD_FINGERPRINT = "R308", "a fingerprint that is none",
        "a pinned certificate is named by the SHA-256 of its DER form",
        "write sha256: and 64 hex digits: openssl x509 -fingerprint -sha256";
    BAD_CONNECTOR = "R309", "a connector id that does not fit its type",
        "an iqn begins with `iqn.`, `eui.` or `naa.`, WWNs are 16 hex digits, MACs 12",
        "correct the type or the id";
    VOLUME_PROPERTY = "R310", "a volume that is not named as its type is",
        "`target_luns: 1` or `Target_LUN: 1` is a name that nobody reads, and the volume would be LUN 0: another machine's; or the volume to boot from lacks what names it",
        "write target_iqn and target_lun (iscsi), target_wwn and target_lun (fibre_channel, fcoe), server and path (nfs), target_nqn and target_nsid (nvme_tcp)";

    LAB_MACHINES = "R401", "a lab without machines, or with two answers to how many",
        "a lab takes its machines from an inventory or makes `count` of them",
        "name an `inventory`, or give `machines.count`";
    LAB_INVENTORY = "R402", "the inventory of a lab cannot be used",
        "the file that the lab names cannot be read or is wrong itself",
        "correct the path, which is relative to the lab's file, or validate the inventory";
    BAD_STORE = "R403", "a store that is none",
        "plans, runs and journals are kept in a SQLite file",
        "write sqlite:PATH";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_unique_and_every_one_says_what_to_do() {
        assert!(CODES.windows(2).all(|w| w[0].code < w[1].code));
        for code in CODES {
            assert!(!code.title.is_empty() && !code.cause.is_empty() && !code.remedy.is_empty(), "{}", code.code);
            assert_eq!(explain(&code.code.to_lowercase()), Some(code));
        }
        assert_eq!(explain("R999"), None);
    }
}
