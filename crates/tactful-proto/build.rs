//! Compiles the protos without protoc and keeps the descriptor set for reflection.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const PROTOS: [&str; 7] = [
    "tactful/v1/types.proto",
    "tactful/v1/decision_service.proto",
    "tactful/v1/event_service.proto",
    "tactful/v1/customer_service.proto",
    "tactful/v1/model_service.proto",
    "tactful/storage/v1/record.proto",
    "tactful/artifact/v1/artifact.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let files = PROTOS.iter().map(|proto| root.join(proto));
    let descriptors = protox::compile(files, [&root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("tactful.binpb"), descriptors.encode_to_vec())?;
    let grpc = env::var_os("CARGO_FEATURE_GRPC").is_some();
    tonic_prost_build::configure().build_client(grpc).build_server(grpc).btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
