//! `coldswap`: arguments in, exit code out.

/// Thousands of switchovers are thousands of small texts and buffers: the C library's allocator takes a quarter of the
/// processor's time for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    coldswap::cli::main()
}
