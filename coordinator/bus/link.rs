//! The build script of every package that makes programs with the bus on Kafka: puts `native/leaders.rs` in the place of a function
//! of librdkafka that is not to run.

#![allow(clippy::print_stdout)]

fn main() {
    println!("cargo::rerun-if-env-changed=CARGO_CFG_TARGET_OS");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo::rustc-link-arg=-Wl,--wrap=rd_kafka_metadata_update_op");
    }
}
