//! `coldswap`: arguments in, exit code out.

fn main() -> std::process::ExitCode {
    coldswap::cli::main()
}
