//! Arguments of `inventory`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct InventoryArgs {
    #[command(subcommand)]
    pub command: InventoryCommand,
}

#[derive(Subcommand, Debug)]
pub enum InventoryCommand {
    /// Take nodes from files, all or none
    Import {
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Nodes that the files do not name are removed
        #[arg(long)]
        replace: bool,
        /// Take volumes, connectors and instance from this node where the files do not have them there; only from a machine
        /// that is seen off, or attested to be
        #[arg(long, value_name = "NODE", value_delimiter = ',')]
        detach: Vec<String>,
    },
    /// Write all nodes
    Export {
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    List,
    Show {
        node: String,
    },
    /// Read BMCs in full for the first time: of nodes that were never read so, or of BMCs that are not in the inventory yet
    Discover(DiscoverArgs),
    /// Read BMCs in full again, and show what has changed
    Refresh {
        /// All, when none is named
        nodes: Vec<String>,
        /// BMCs that are read at the same time
        #[arg(long, value_name = "N", default_value_t = crate::cli::asking::SURVEYED_AT_ONCE)]
        at_once: usize,
    },
    /// Change a node by hand
    Set {
        node: String,
        /// `maintenance=REASON`, `maintenance=` (leave it), `provision_state=STATE`, `label.NAME=VALUE`, `label.NAME=`,
        /// `debt=` (settled), `identity=` (the machine was replaced; `refresh` learns the new one's)
        #[arg(required = true, value_name = "FIELD=VALUE")]
        fields: Vec<String>,
    },
    /// Free a node that a run has left held, after a look at it
    Release {
        node: String,
        #[arg(long, short)]
        yes: bool,
    },
    /// Forget a node. One that has an instance, volumes or a debt is refused
    Remove {
        node: String,
        /// With its instance, volumes and debt. Where it has volumes or an instance, only a machine that is seen off, or
        /// attested to be
        #[arg(long)]
        force: bool,
    },
}

#[derive(Args, Debug)]
pub struct DiscoverArgs {
    /// Nodes of the inventory. None named: all that were never read in full
    #[arg(conflicts_with_all = ["bmc", "bmcs"])]
    pub nodes: Vec<String>,
    /// A BMC that is not in the inventory: each machine behind it becomes a node in the state `enroll`
    #[arg(long, value_name = "ADDRESS")]
    pub bmc: Vec<String>,
    /// The same for every line of a file
    #[arg(long, value_name = "FILE")]
    pub bmcs: Option<PathBuf>,
    #[command(flatten)]
    pub access: AccessArgs,
    /// BMCs that are read at the same time
    #[arg(long, value_name = "N", default_value_t = crate::cli::asking::SURVEYED_AT_ONCE)]
    pub at_once: usize,
}

/// How a BMC that is in no inventory yet is reached. The password itself is never an argument.
#[derive(Args, Debug)]
pub struct AccessArgs {
    /// Login for `--bmc` and `--bmcs`
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,
    /// The environment variable that holds the password
    #[arg(long, value_name = "VARIABLE", requires = "username")]
    pub password_env: Option<String>,
    /// The file that holds the password
    #[arg(long, value_name = "FILE", requires = "username", conflicts_with = "password_env")]
    pub password_file: Option<PathBuf>,
    /// A PEM file of the authorities that sign the BMCs' certificates
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Take any certificate
    #[arg(long, conflicts_with = "tls_ca")]
    pub tls_unverified: bool,
}
