//! The `ringmaster` binary.

fn main() -> std::process::ExitCode {
    ringmaster::cli::main()
}
